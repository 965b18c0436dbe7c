/* sentencepiece.h: the few calls of the SentencePiece library that minuano needs, as C.
 *
 * Private to host/text. The library is C++ and lives in sentencepiece.cc alone. */
#ifndef MINUANO_TEXT_SENTENCEPIECE_H
#define MINUANO_TEXT_SENTENCEPIECE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "minuano/status.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct mn_pieces mn_pieces;

/* From the bytes of a tokenizer.model; `where` names them in messages. */
MN_CHECKED mn_status mn_pieces_open(mn_pieces **out, const void *model, size_t size,
                                    const char *where);
void mn_pieces_close(mn_pieces **pieces);

/* Text is left as it is, and its pieces grow by nothing but merging two neighbours into another
 * piece (BPE, with bytes for what no piece holds). */
bool mn_pieces_merges_pairs(const mn_pieces *pieces);

int mn_pieces_count(const mn_pieces *pieces);
int mn_pieces_bos(const mn_pieces *pieces); /* -1: none */
int mn_pieces_eos(const mn_pieces *pieces);
const char *mn_pieces_text(const mn_pieces *pieces, int id);   /* lives as long as pieces */
int mn_pieces_find(const mn_pieces *pieces, const char *text); /* -1: none */

enum mn_piece_kind { MN_PIECE_TEXT, MN_PIECE_CONTROL, MN_PIECE_UNKNOWN };
enum mn_piece_kind mn_pieces_kind(const mn_pieces *pieces, int id);

/* As the model has it: a space is put before the text if the model says so. */
enum mn_piece_prefix { MN_PREFIX_AS_TRAINED, MN_PREFIX_NONE };
MN_CHECKED mn_status mn_pieces_encode(const mn_pieces *pieces, enum mn_piece_prefix prefix,
                                      const char *text, size_t length,
                                      void (*emit)(void *user, int32_t id), void *user);
/* Every id must be below mn_pieces_count. */
MN_CHECKED mn_status mn_pieces_decode(const mn_pieces *pieces, const int32_t *ids, size_t count,
                                      void (*emit)(void *user, const char *bytes, size_t length),
                                      void *user);

#ifdef __cplusplus
}
#endif
#endif
