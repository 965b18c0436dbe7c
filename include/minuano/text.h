/* text.h: text to token ids and back, and the chat template. */
#ifndef MINUANO_TEXT_H
#define MINUANO_TEXT_H

#include "minuano/json.h"

enum {
    MN_BOS = 1,
    MN_EOS = 2,
    MN_INST = 3,
    MN_END_INST = 4
}; /* Mistral v3; read from the model where they differ */

typedef struct mn_tokenizer mn_tokenizer;
/* From DIR/tokenizer.model (SentencePiece). */
MN_CHECKED mn_status mn_tokenizer_open(mn_tokenizer **out, const char *folder);
void mn_tokenizer_close(mn_tokenizer **tokenizer);
int mn_tokenizer_vocab(const mn_tokenizer *tokenizer);
int mn_tokenizer_bos(const mn_tokenizer *tokenizer);
int mn_tokenizer_eos(const mn_tokenizer *tokenizer);
/* Id of a piece such as "▁A" or "[INST]"; -1 when there is none. */
int mn_tokenizer_piece(const mn_tokenizer *tokenizer, const char *piece);

/* Ids that grow. */
struct mn_ids {
    int32_t *item;
    size_t count, capacity;
};
void mn_ids_add(struct mn_ids *ids, int32_t id);
void mn_ids_free(struct mn_ids *ids);

enum {
    MN_TOKENIZE_PARSE_SPECIAL =
        1, /* control tokens spelled out in the text become their ids, as Hugging Face does */
    MN_TOKENIZE_ADD_BOS = 2,
    MN_TOKENIZE_CONTINUE = 4, /* the text goes on where other text ended: no space is put before it;
                                 goes with neither of the others */
};
/* Appends; nothing on failure. Text may hold NUL bytes. The ids are those of Hugging Face's
 * tokenizer(text): SentencePiece's, but text that begins with a space gets no second one put before
 * it. With PARSE_SPECIAL the longest special token wins, and text behind one gets no space put
 * before it either. ADD_BOS and PARSE_SPECIAL together on text that spells out <s> itself give two
 * BOS: that is the one way to ask for them, and what the seed study's evaluation did. */
MN_CHECKED mn_status mn_tokenize(const mn_tokenizer *tokenizer, const char *text, size_t length,
                                 int flags, struct mn_ids *out);
/* Whether any text may be cut between these two bytes: the ids of what ends with `before`, followed
 * by the ids of what begins with `behind` (MN_TOKENIZE_CONTINUE), are then those of the whole. It
 * is so where no piece holds the two bytes side by side, for byte pair encoding merges neighbours
 * into pieces and does nothing else. Without PARSE_SPECIAL. */
bool mn_tokenizer_may_cut(const mn_tokenizer *tokenizer, char before, char behind);
/* Appends text; control tokens are left out, and what a model that has more tokens than the
 * tokenizer has pieces may say beyond them: both have none. */
MN_CHECKED mn_status mn_detokenize(const mn_tokenizer *tokenizer, const int32_t *ids, size_t count,
                                   struct mn_text *out);

/* The v3 instruct template: BOS, then [INST] user[/INST] and assistant + EOS for each turn. Roles
 * must alternate, beginning with user; the last may be either. A system message may open the list:
 * its text opens the last message if that is the user's, and is left out otherwise, as Mistral's
 * template has it. Assistant text is stripped. Control tokens in content stay text: to have them
 * parsed, as Hugging Face does, tokenize mn_chat_text() with PARSE_SPECIAL. */
struct mn_message {
    const char *role, *content;
};
MN_CHECKED mn_status mn_chat_tokenize(const mn_tokenizer *tokenizer,
                                      const struct mn_message *messages, size_t count,
                                      struct mn_ids *out);
/* The same as the string that Hugging Face's apply_chat_template(tokenize=False) gives. */
MN_CHECKED mn_status mn_chat_text(const struct mn_message *messages, size_t count,
                                  struct mn_text *out);
/* Reads [{"role","content"}, ...]; strings are borrowed from the JSON. */
MN_CHECKED mn_status mn_messages_read(mn_arena *arena, const json_t *array, const char *where,
                                      struct mn_message **messages, size_t *count);

/* `template` with every {name} replaced from name/value pairs (NULL-terminated array); {{ is a
 * brace. An unknown name is an error. */
MN_CHECKED mn_status mn_template_fill(const char *template_text, const char *const *pairs,
                                      struct mn_text *out);

#endif
