/* phrases.h: X(name, English, Brazilian Portuguese). "{}" is filled in, in order. */
#ifndef MINUANO_STUDY_PHRASES_H
#define MINUANO_STUDY_PHRASES_H

/* clang-format off */
#define PHRASE_LIST(X) \
    /* the run */ \
    X(STUDY, "Study", "Estudo") \
    X(CONTENTS, "Contents", "Conteúdo") \
    X(RUN, "The run", "A execução") \
    X(MODEL, "model", "modelo") \
    X(MODEL_HASH, "SHA-256 of the model", "SHA-256 do modelo") \
    X(DEVICE, "device", "dispositivo") \
    X(STARTED, "started", "início") \
    X(FINISHED, "finished", "fim") \
    X(ITEMS_DONE, "items", "itens") \
    X(OF, "of", "de") \
    X(ON, "on", "em") \
    X(BASE, "base", "base") \
    X(SYSTEM, "system", "sistema") \
    X(ADAPTER, "adapter", "adaptador") \
    /* the trade-off */ \
    X(TRADE_OFF, "The trade-off", "Ganhos e perdas") \
    X(TRADE_OFF_TITLE, "The trade-off: change against the base, in points, with 95 % intervals", \
      "Ganhos e perdas: mudança em relação à base, em pontos, com intervalos de 95 %") \
    X(TRADE_OFF_UP, "Up: better at Spider. Left: worse at MMLU.", \
      "Para cima: melhor no Spider. Para a esquerda: pior no MMLU.") \
    X(IN_SHORT, "In short", "Em resumo") \
    X(IN_SHORT_LINE, "{} points{}, {}: won {}, lost {}, p {}", \
      "{} pontos{}, {}: ganhou {}, perdeu {}, p {}") \
    X(CLEAR_GAIN, "a clear gain", "um ganho claro") \
    X(CLEAR_LOSS, "a clear loss", "uma perda clara") \
    X(UNCLEAR, "no clear change", "sem mudança clara") \
    X(WOULD_SHOW, "; a change of {} points would likely have shown", \
      "; uma mudança de {} pontos provavelmente teria sido detectada") \
    X(CHANGE_SPIDER, "Spider, points", "Spider, pontos") \
    X(CHANGE_MMLU, "MMLU, points", "MMLU, pontos") \
    X(FLIPS, "won / lost", "ganhas / perdidas") \
    X(P, "p", "p") \
    X(MCNEMAR, "McNemar p", "p de McNemar") \
    X(HOLM, "Holm p", "p de Holm") \
    X(CHANGE, "change, points", "mudança, pontos") \
    /* Spider */ \
    X(SPIDER, "Spider", "Spider") \
    X(SPIDER_TITLE, "Spider: execution accuracy, official metric", \
      "Spider: acurácia de execução, métrica oficial") \
    X(SPIDER_SLICES, "Spider: all metrics by hardness", "Spider: todas as métricas por dificuldade") \
    X(HARDNESS, "hardness", "dificuldade") \
    X(JUDGED, "judged", "avaliadas") \
    X(MISSING, "database missing", "banco ausente") \
    X(OFFICIAL, "official", "oficial") \
    X(DISTINCT, "DISTINCT kept", "com DISTINCT") \
    X(SEED_METRIC, "seed metric", "métrica original") \
    X(INTERVAL, "95 % interval", "intervalo de 95 %") \
    X(MISSES, "misses", "erros") \
    X(MISSES_TITLE, "Spider: why queries miss", "Spider: por que as consultas erram") \
    X(MISSES_NOTE, "Wrong rows and no rows: the query ran, but did not return what the gold query returns.", \
      "Linhas erradas e nenhuma linha: a consulta rodou, mas não devolveu o que o gabarito devolve.") \
    /* MMLU */ \
    X(MMLU, "MMLU", "MMLU") \
    X(MMLU_TITLE, "MMLU: accuracy", "MMLU: acurácia") \
    X(MMLU_SLICES, "MMLU: accuracy and change by group", "MMLU: acurácia e mudança por grupo") \
    X(SLICE, "group", "grupo") \
    X(QUESTIONS, "questions", "questões") \
    X(ACCURACY, "accuracy", "acurácia") \
    X(ERROR, "standard error", "erro padrão") \
    X(MASS, "mass on A–D", "massa em A–D") \
    X(MACRO, "mean of subjects", "média das disciplinas") \
    X(ALL, "all", "todas") \
    X(BY_SUBJECT, "MMLU: change by subject", "MMLU: mudança por disciplina") \
    X(SUBJECT, "subject", "disciplina") \
    X(SUBJECTS, "subjects", "disciplinas") \
    X(SORTED, "From the greatest loss to the greatest gain, in points.", \
      "Da maior perda ao maior ganho, em pontos.") \
    X(HOLM_NOTE, "Holm p: corrected over all subjects of the adapter; below 0.05 the change stands.", \
      "p de Holm: corrigido por todas as disciplinas do adaptador; abaixo de 0,05 a mudança se sustenta.") \
    X(HOLM_MARK, "stands after Holm's correction over all subjects", \
      "sustenta-se após a correção de Holm por todas as disciplinas") \
    X(CALIBRATION_TITLE, "MMLU: how sure the answers are", "MMLU: quão confiantes são as respostas") \
    X(CALIBRATION_NOTE, \
      "Confidence is the probability of the answer given, when A to D sum to one; the calibration error is its mean " \
      "distance from the share of right answers, over ten bins. Mass is what A to D have of the whole vocabulary.", \
      "Confiança é a probabilidade da resposta dada, quando A a D somam um; o erro de calibração é sua distância " \
      "média da fração de respostas certas, em dez faixas. Massa é o que A a D têm de todo o vocabulário.") \
    X(CONFIDENCE, "confidence", "confiança") \
    X(CALIBRATION_ERROR, "calibration error", "erro de calibração") \
    X(SHARE_RIGHT, "right, %", "certas, %") \
    X(CONFIDENCE_AXIS, "confidence, %", "confiança, %") \
    X(RELIABILITY, "Right answers by confidence, with 95 % intervals; grey: share of the answers.", \
      "Respostas certas por confiança, com intervalos de 95 %; em cinza: fração das respostas.") \
    /* what could have been found */ \
    X(POWER_TITLE, "What could have been found: smallest change in points", \
      "O que se poderia detectar: menor mudança, em pontos") \
    X(POWER_NOTE, \
      "The smallest change that McNemar's test, two-sided at 5 %, finds in four of five such studies, given the items, " \
      "the share of them that flipped, and how much items of one database or subject move together (design effect). " \
      "Subjects up and down: those that stand after Holm's correction.", \
      "A menor mudança que o teste de McNemar, bilateral a 5 %, encontra em quatro de cada cinco estudos como este, " \
      "dados os itens, a fração deles que mudou e o quanto itens de um mesmo banco ou disciplina andam juntos (efeito " \
      "do desenho). Disciplinas em alta e em queda: as que se sustentam após a correção de Holm.") \
    X(DETECTABLE, "detectable, points", "detectável, pontos") \
    X(DETECTABLE_SPIDER, "Spider", "Spider") \
    X(DETECTABLE_MMLU, "MMLU", "MMLU") \
    X(DESIGN_EFFECT, "design effect", "efeito do desenho") \
    X(SUBJECTS_UP, "subjects up", "disciplinas em alta") \
    X(SUBJECTS_DOWN, "subjects down", "disciplinas em queda") \
    /* training */ \
    X(TRAINING, "Training", "Treinamento") \
    X(LOSS, "Training loss", "Loss de treinamento") \
    X(LEARNING_RATE, "Learning rate", "Taxa de aprendizado") \
    X(STEP, "step", "passo") \
    X(STEPS, "steps", "passos") \
    X(TOKENS, "tokens", "tokens") \
    X(LOSS_TOKENS, "loss tokens", "tokens na loss") \
    X(FIRST_LOSS, "first loss", "loss inicial") \
    X(LAST_LOSS, "last loss", "loss final") \
    X(SECONDS, "seconds", "segundos") \
    X(HASH, "SHA-256", "SHA-256") \
    X(MEANS, "Long trainings are drawn as means of neighbouring steps.", \
      "Treinamentos longos são desenhados como médias de passos vizinhos.") \
    X(PROBES, "While it trained", "Durante o treinamento") \
    X(PROBES_NOTE, \
      "A small fixed sample of both tasks, asked of the adapter as it stood; apart from the items " \
      "of the evaluation, MMLU's from its validation split.", \
      "Uma pequena amostra fixa das duas tarefas, perguntada ao adaptador como estava; à parte dos " \
      "itens da avaliação, os do MMLU vêm da sua partição de validação.") \
    X(ENDED_BY, "ended by", "encerrado por") \
    X(NOTE_STOPPED, "{} was ended by its rule stop.{} after {} of {} steps.", \
      "{} foi encerrado pela regra stop.{} após {} de {} passos.") \
    X(NOTE_STOPPED_SPIDER, \
      "The rule that ended {} looked at Spider questions that are evaluated here as well.", \
      "A regra que encerrou {} olhou perguntas do Spider que também são avaliadas aqui.") \
    /* single items */ \
    X(CURVES, "Curves", "Curvas") \
    X(OVER_STRENGTHS, "Over the strength of the adapter", "Em função da força do adaptador") \
    X(OVER_STEPS, "Over the steps of the training", "Em função dos passos do treinamento") \
    X(STRENGTH, "strength \xCE\xBB", "força \xCE\xBB") \
    X(CURVE_NOTE, \
      "Each point was asked {} questions of Spider and {} of MMLU, spread evenly over them; the " \
      "base and the adapter itself stand here with the same ones.", \
      "Cada ponto respondeu a {} perguntas do Spider e {} do MMLU, distribuídas por igual; a base e " \
      "o próprio adaptador aparecem aqui com as mesmas.") \
    X(PERCENT_RIGHT, "accuracy, %", "acurácia, %") \
    X(FRONT, "Pareto front", "fronteira de Pareto") \
    X(FRONT_TITLE, "Gain against loss: the Pareto front", "Ganho e perda: a fronteira de Pareto") \
    X(FRONT_NOTE, \
      "On the front: no other point is as good in both tasks, and better in one. A * marks them " \
      "in the tables.", \
      "Na fronteira: nenhum outro ponto é tão bom nas duas tarefas, e melhor em uma. Um * os marca " \
      "nas tabelas.") \
    X(TOKENS_TITLE, "Tokens of the prompts", "Tokens dos prompts") \
    X(TOKENS_NOTE, \
      "What prompts share, a schema or solved questions, is computed once for all of them.", \
      "O que os prompts têm em comum, um esquema ou questões resolvidas, é calculado uma só vez.") \
    X(TOKENS_SPIDER, "Spider: tokens", "Spider: tokens") \
    X(TOKENS_MMLU, "MMLU: tokens", "MMLU: tokens") \
    X(COMPUTED, "computed", "calculados") \
    X(SAVED, "saved", "economizados") \
    X(ITEMS, "Single items", "Item por item") \
    X(ITEMS_CAPPED, "Only the first items of each task are in this page; results.sqlite has all.", \
      "Só os primeiros itens de cada tarefa estão nesta página; results.sqlite tem todos.") \
    X(NO_SCRIPT, "The browser of all items needs JavaScript. Some Spider items that flipped:", \
      "O navegador de itens precisa de JavaScript. Alguns itens do Spider que mudaram:") \
    X(KEYS, "Keys: / searches, j and k move from item to item. #12 finds item 12.", \
      "Teclas: / busca, j e k passam de um item a outro. #12 acha o item 12.") \
    X(TASK, "task", "tarefa") \
    X(VERDICT, "verdict", "veredito") \
    X(ANY, "any", "qualquer") \
    X(RIGHT, "right", "certa") \
    X(WRONG, "wrong", "errada") \
    X(NOT_DONE, "not done", "não feita") \
    X(FLIPPED, "won or lost", "ganha ou perdida") \
    X(WON, "won", "ganha") \
    X(LOST, "lost", "perdida") \
    X(FLIP, "against the base", "em relação à base") \
    X(MISS, "class of miss", "classe de erro") \
    X(ANSWER, "answer", "resposta") \
    X(REPLY, "the whole reply", "a resposta inteira") \
    X(DATABASE, "database", "banco") \
    X(SEARCH, "search", "busca") \
    X(GOLD, "gold", "gabarito") \
    X(ROWS, "rows", "linhas") \
    X(ONE_ROW, "row", "linha") \
    X(NO_ROWS, "no rows", "nenhuma linha") \
    X(SAME_ROWS, "the same as gold", "o mesmo que o gabarito") \
    X(COLUMNS, "columns", "colunas") \
    X(BYTES, "bytes", "bytes") \
    X(ONLY_DISTINCT, "right with DISTINCT kept", "certa se DISTINCT é mantido") \
    X(NO_QUERY, "no query", "sem consulta") \
    X(SHOWN, "shown", "mostrados") \
    X(NOTHING_FOUND, "No item matches.", "Nenhum item corresponde.") \
    X(MORE, "show more", "mostrar mais") \
    X(RESET, "clear filters", "limpar filtros") \
    X(NO_LETTER, "no letter", "nenhuma letra") \
    X(SEE_ITEMS, "see the items", "ver os itens") \
    X(NOTES, "To read the numbers", "Para ler os números") \
    X(CONFIG, "Config", "Configuração") \
    /* hardness, in the enum's order */ \
    X(EASY, "easy", "fácil") \
    X(MEDIUM, "medium", "média") \
    X(HARD, "hard", "difícil") \
    X(EXTRA, "extra", "extra") \
    X(UNKNOWN, "unknown", "desconhecida") \
    /* groups, in the enum's order */ \
    X(STEM, "STEM", "STEM") \
    X(HUMANITIES, "humanities", "humanidades") \
    X(SOCIAL, "social sciences", "ciências sociais") \
    X(OTHER_GROUP, "other", "outras") \
    /* classes of misses, in the enum's order */ \
    X(MISS_NONE, "wrong rows", "linhas erradas") \
    X(MISS_EMPTY, "empty", "vazia") \
    X(MISS_SYNTAX, "syntax", "sintaxe") \
    X(MISS_NO_TABLE, "no such table", "tabela inexistente") \
    X(MISS_NO_COLUMN, "no such column", "coluna inexistente") \
    X(MISS_NO_FUNCTION, "no such function", "função inexistente") \
    X(MISS_MULTIPLE, "multiple statements", "vários comandos") \
    X(MISS_DENIED, "denied", "proibida") \
    X(MISS_TIMEOUT, "timeout", "tempo esgotado") \
    X(MISS_TOO_BIG, "too big", "grande demais") \
    X(MISS_GOLD, "gold query fails", "o gabarito falha") \
    X(MISS_OTHER, "other", "outro") \
    X(MISS_NO_ROWS, "no rows", "nenhuma linha") \
    /* remarks */ \
    X(NOTE_UNFINISHED, "Unfinished: {} of {} items are done; comparisons use the items both have.", \
      "Inacabado: {} de {} itens estão prontos; as comparações usam os itens que ambos têm.") \
    X(NOTE_MISSING, \
      "{} Spider answers could not be judged: their database is missing. They are in no accuracy.", \
      "{} respostas do Spider não puderam ser avaliadas: falta o banco. Não entram na acurácia.") \
    X(NOTE_DATABASES, "Spider's intervals rest on {} databases: they are wide, and rough.", \
      "Os intervalos do Spider se apoiam em {} bancos: são largos e imprecisos.") \
    X(NOTE_ONE_DATABASE, "All Spider items are of one database: nothing can be said of others, and no interval is given.", \
      "Todos os itens do Spider são de um só banco: nada se pode dizer de outros, e não há intervalo.") \
    X(NOTE_SUBJECTS, "MMLU's intervals rest on {} subjects: they are wide, and rough.", \
      "Os intervalos do MMLU se apoiam em {} disciplinas: são largos e imprecisos.") \
    X(NOTE_ONE_SUBJECT, "All MMLU questions are of one subject: nothing can be said of others, and no interval is given.", \
      "Todas as questões do MMLU são de uma só disciplina: nada se pode dizer de outras, e não há intervalo.") \
    X(NOTE_MANY, \
      "{} adapters are compared with the base: intervals and p are each one's own, and the best of many looks better " \
      "than it is.", \
      "{} adaptadores são comparados com a base: intervalos e p são de cada um, e o melhor de muitos parece melhor do " \
      "que é.") \
    X(NOTE_UNPARSED, "{} MMLU replies name no letter: counted as wrong.", \
      "{} respostas do MMLU não citam letra: contam como erradas.") \
    X(NOTE_CUT, \
      "{} MMLU prompts were longer than the model's context and were cut on the left.", \
      "{} prompts do MMLU passavam do contexto do modelo e foram cortados à esquerda.") \
    X(NOTE_SPIDER_CUT, \
      "{} Spider prompts were longer than the model's context and were cut on the left.", \
      "{} prompts do Spider passavam do contexto do modelo e foram cortados à esquerda.") \
    X(NOTE_INTERVALS, \
      "Intervals are 95 %: Wilson's for one accuracy; for a change, a paired bootstrap of whole " \
      "databases or subjects, with ends moved out for their small number (Hesterberg); within one " \
      "subject, or where all changed alike, Agresti and Min's.", \
      "Os intervalos são de 95 %: de Wilson para uma acurácia; para uma mudança, bootstrap " \
      "pareado de bancos ou disciplinas inteiros, com extremos alargados por serem poucos " \
      "(Hesterberg); dentro de uma disciplina, ou onde todos mudaram igual, de Agresti e Min.") \
    X(NOTE_FLIPS, \
      "Won and lost: answers that became right or wrong against the base; p is the exact McNemar test's. A change is " \
      "called clear where p is below 0.05 and the interval leaves out zero.", \
      "Ganhas e perdidas: respostas que passaram a certas ou a erradas em relação à base; p é do teste exato de " \
      "McNemar. Uma mudança é chamada de clara quando p fica abaixo de 0,05 e o intervalo não contém zero.") \
    X(SHOTS, "shots", "exemplos") \
    X(MMLU_SHOTS, "MMLU with other numbers of shots", "MMLU com outros números de exemplos") \
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
      "Falha do protocolo: sua métrica ordena linhas, o que gera erro quando um NULL encontra " \
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
