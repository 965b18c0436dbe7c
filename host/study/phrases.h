/* phrases.h: X(name, English, Brazilian Portuguese). */
#ifndef MINUANO_STUDY_PHRASES_H
#define MINUANO_STUDY_PHRASES_H

/* clang-format off */
#define PHRASE_LIST(X) \
    X(STUDY, "Study", "Estudo") \
    X(CONTENTS, "Contents", "Conteúdo") \
    X(MODEL, "model", "modelo") \
    X(MODEL_HASH, "its SHA-256", "seu SHA-256") \
    X(DEVICE, "device", "dispositivo") \
    X(STARTED, "started", "início") \
    X(FINISHED, "finished", "fim") \
    X(ITEMS_DONE, "items", "itens") \
    X(OF, "of", "de") \
    X(TRADE_OFF, "The trade-off", "O compromisso") \
    X(TRADE_OFF_TEXT, "Change against the base, in points, with 95 % intervals.", \
      "Mudança em relação à base, em pontos, com intervalos de 95 %.") \
    X(TRADE_OFF_UP, "Up is better at Spider, left is worse at MMLU.", \
      "Para cima: melhor no Spider; para a esquerda: pior no MMLU.") \
    X(SYSTEM, "system", "sistema") \
    X(ADAPTER, "adapter", "adaptador") \
    X(CHANGE_SPIDER, "Spider: change, points", "Spider: mudança, pontos") \
    X(CHANGE_MMLU, "MMLU: change, points", "MMLU: mudança, pontos") \
    X(FLIPS, "flips", "viradas") \
    X(MCNEMAR, "McNemar p", "p de McNemar") \
    X(SPIDER, "Spider: execution accuracy", "Spider: acurácia de execução") \
    X(HARDNESS, "hardness", "dificuldade") \
    X(JUDGED, "judged", "julgados") \
    X(MISSING, "database missing", "banco ausente") \
    X(OFFICIAL, "official", "oficial") \
    X(DISTINCT, "DISTINCT kept", "com DISTINCT") \
    X(SEED_METRIC, "seed metric", "métrica original") \
    X(INTERVAL, "95 % interval", "intervalo de 95 %") \
    X(CHANGE, "change, points", "mudança, pontos") \
    X(ERRORS, "Queries that gave no result", "Consultas sem resultado") \
    X(MMLU, "MMLU", "MMLU") \
    X(SLICE, "slice", "recorte") \
    X(QUESTIONS, "questions", "questões") \
    X(ACCURACY, "accuracy", "acurácia") \
    X(MASS, "mass on A–D", "massa em A–D") \
    X(MACRO, "mean of subjects", "média das matérias") \
    X(ALL, "all", "todos") \
    X(BY_SUBJECT, "Change by subject", "Mudança por matéria") \
    X(SUBJECT, "subject", "matéria") \
    X(SORTED, "Sorted from the greatest loss to the greatest gain.", \
      "Da maior perda ao maior ganho.") \
    X(TRAINING, "Training", "Treinamento") \
    X(LOSS, "Training loss", "Perda no treinamento") \
    X(LEARNING_RATE, "Learning rate", "Taxa de aprendizado") \
    X(STEP, "step", "passo") \
    X(STEPS, "steps", "passos") \
    X(TOKENS, "tokens", "tokens") \
    X(LOSS_TOKENS, "loss tokens", "tokens com perda") \
    X(FIRST_LOSS, "first loss", "primeira perda") \
    X(LAST_LOSS, "last loss", "última perda") \
    X(SECONDS, "seconds", "segundos") \
    X(MEANS, "Long trainings are drawn as means of neighbouring steps.", \
      "Treinamentos longos são desenhados como médias de passos vizinhos.") \
    X(ITEMS, "Single items", "Item por item") \
    X(ITEMS_CAPPED, "Only the first items of each task are in this page; results.sqlite has all.", \
      "Só os primeiros itens de cada tarefa estão nesta página; results.sqlite tem todos.") \
    X(NO_SCRIPT, "The browser of all items needs JavaScript. Some Spider items that flipped:", \
      "O navegador de itens precisa de JavaScript. Alguns itens do Spider que viraram:") \
    X(TASK, "task", "tarefa") \
    X(VERDICT, "verdict", "veredito") \
    X(ANY, "any", "qualquer") \
    X(RIGHT, "right", "certo") \
    X(WRONG, "wrong", "errado") \
    X(NOT_DONE, "not done", "não feito") \
    X(WON, "won against the base", "ganho sobre a base") \
    X(LOST, "lost against the base", "perdido para a base") \
    X(FLIP, "flip", "virada") \
    X(DATABASE, "database", "banco") \
    X(SEARCH, "search", "busca") \
    X(QUESTION, "question", "pergunta") \
    X(GOLD, "gold", "gabarito") \
    X(PREDICTION, "prediction", "predição") \
    X(SHOWN, "shown", "mostrados") \
    X(MORE, "show more", "mostrar mais") \
    X(PROBABILITY, "probability", "probabilidade") \
    X(NO_LETTER, "no letter", "nenhuma letra") \
    X(NOTES, "To read the numbers", "Para ler os números") \
    X(CONFIG, "Config", "Configuração") \
    X(EASY, "easy", "fácil") \
    X(MEDIUM, "medium", "médio") \
    X(HARD, "hard", "difícil") \
    X(EXTRA, "extra", "extra") \
    X(UNKNOWN, "unknown", "desconhecida") \
    X(STEM, "STEM", "exatas") \
    X(HUMANITIES, "humanities", "humanidades") \
    X(SOCIAL, "social sciences", "ciências sociais") \
    X(OTHER_GROUP, "other", "outras") \
    X(ERROR_NONE, "none", "nenhum") \
    X(ERROR_EMPTY, "empty", "vazia") \
    X(ERROR_SYNTAX, "syntax", "sintaxe") \
    X(ERROR_NO_TABLE, "no such table", "tabela inexistente") \
    X(ERROR_NO_COLUMN, "no such column", "coluna inexistente") \
    X(ERROR_NO_FUNCTION, "no such function", "função inexistente") \
    X(ERROR_MULTIPLE, "multiple statements", "vários comandos") \
    X(ERROR_DENIED, "denied", "negada") \
    X(ERROR_TIMEOUT, "timeout", "tempo esgotado") \
    X(ERROR_TOO_BIG, "too big", "grande demais") \
    X(ERROR_GOLD, "gold query fails", "o gabarito falha") \
    X(ERROR_OTHER, "other", "outro") \
    X(NOTE_UNFINISHED, "Unfinished: {} of {} items are done; comparisons use the items both have.", \
      "Inacabado: {} de {} itens estão prontos; as comparações usam os itens que ambos têm.") \
    X(NOTE_MISSING, \
      "{} Spider answers could not be judged: their database is missing. They are in no accuracy.", \
      "{} respostas do Spider não puderam ser julgadas: falta o banco. Não entram na acurácia.") \
    X(NOTE_DATABASES, "Spider's intervals rest on {} databases: they are wide, and rough.", \
      "Os intervalos do Spider se apoiam em {} bancos: são largos e imprecisos.") \
    X(NOTE_ONE_DATABASE, "Spider's intervals rest on {} database: they are wide, and rough.", \
      "Os intervalos do Spider se apoiam em {} banco: são largos e imprecisos.") \
    X(NOTE_SUBJECTS, "MMLU's intervals rest on {} subjects: they are wide, and rough.", \
      "Os intervalos do MMLU se apoiam em {} matérias: são largos e imprecisos.") \
    X(NOTE_ONE_SUBJECT, "MMLU's intervals rest on {} subject: they are wide, and rough.", \
      "Os intervalos do MMLU se apoiam em {} matéria: são largos e imprecisos.") \
    X(NOTE_UNPARSED, "{} MMLU replies name no letter: counted as wrong.", \
      "{} respostas do MMLU não citam letra: contam como erradas.") \
    X(NOTE_CUT, \
      "{} MMLU prompts were longer than the model's context and were cut on the left.", \
      "{} prompts do MMLU passavam do contexto do modelo e foram cortados à esquerda.") \
    X(NOTE_INTERVALS, \
      "Intervals are 95 %: Wilson's for one accuracy; for a change, a paired bootstrap of whole " \
      "databases or subjects; within one subject, Agresti and Min's.", \
      "Os intervalos são de 95 %: de Wilson para uma acurácia; para uma mudança, bootstrap " \
      "pareado de bancos ou matérias inteiros; dentro de uma matéria, de Agresti e Min.") \
    X(NOTE_FLIPS, \
      "Flips are items won and lost against the base; p is the exact McNemar test's.", \
      "Viradas são itens ganhos e perdidos em relação à base; p é do teste exato de McNemar.") \
    X(SEED_EXACT, "The seed study's own figures: {} of {} replies of {} are the gold query as text.", \
      "Números do próprio estudo original: {} de {} respostas de {} são o gabarito como texto.") \
    X(SEED_SPIDER, "Its execution metric, both run and sets of rows equal: {} of {} by {}.", \
      "Sua métrica de execução, ambas rodam e os conjuntos de linhas são iguais: {} de {} por {}.") \
    X(SEED_MMLU, "Its MMLU, the first of A to D in the reply: {} of {} by {}.", \
      "Seu MMLU, a primeira de A a D na resposta: {} de {} por {}.") \
    X(FAULT_SCHEMA, \
      "Fault of the protocol: the prompt holds no schema, so tables and columns must be guessed.", \
      "Falha do protocolo: o prompt não traz esquema; tabelas e colunas têm de ser adivinhadas.") \
    X(FAULT_NESTED, \
      "Fault of the protocol: training and evaluation nest the prompt differently; evaluation " \
      "wraps the training text once more, with two [INST] and two BOS.", \
      "Falha do protocolo: treino e avaliação aninham o prompt de modos diferentes; a avaliação " \
      "envolve o texto de treino mais uma vez, com dois [INST] e dois BOS.") \
    X(FAULT_SAMPLING, \
      "Fault of the protocol: SQL is sampled instead of decoded greedily, so another seed gives " \
      "other verdicts.", \
      "Falha do protocolo: o SQL é amostrado em vez de decodificado de modo guloso; outra semente " \
      "dá outros vereditos.") \
    X(FAULT_MERGED, \
      "Fault of the protocol: SQL is measured on adapters merged into the 4-bit weights, MMLU on " \
      "the unmerged ones: two different models share a row.", \
      "Falha do protocolo: o SQL é medido em adaptadores fundidos aos pesos de 4 bits, o MMLU nos " \
      "não fundidos: dois modelos diferentes dividem uma linha.") \
    X(FAULT_DENOMINATOR, \
      "Fault of the protocol: a missing database shrinks the denominator instead of being shown.", \
      "Falha do protocolo: um banco ausente encolhe o denominador em vez de ser mostrado.") \
    X(FAULT_SORTING, \
      "Fault of the protocol: its metric sorts rows, which raises where a NULL meets a value, and " \
      "so fails correct SQL.", \
      "Falha do protocolo: sua métrica ordena linhas, o que levanta erro quando um NULL encontra " \
      "um valor, e assim reprova SQL correto.") \
    X(FAULT_SETS, \
      "Fault of the protocol: its metric compares sets, which ignores duplicates and order.", \
      "Falha do protocolo: sua métrica compara conjuntos, o que ignora duplicatas e ordem.") \
    X(FAULT_FIRST, "Fault of the protocol: only the first {} questions are asked, of few databases.", \
      "Falha do protocolo: só as primeiras {} perguntas são feitas, de poucos bancos.") \
    X(SEED_DEPARTURES, \
      "Not as in the original: the wording of the few-shot prompt, which is not on record, and " \
      "AdamW's state, 32 bits instead of paged 8.", \
      "Diferente do original: a redação do prompt few-shot, da qual não há registro, e o estado do " \
      "AdamW, 32 bits em vez de 8 paginados.")
/* clang-format on */

#endif
