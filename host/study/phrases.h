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
      "Viradas são itens ganhos e perdidos em relação à base; p é do teste exato de McNemar.")
/* clang-format on */

#endif
