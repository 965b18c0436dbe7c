/* tokenizer.c: text to ids and back. SentencePiece does the pieces; here is what it leaves out:
 * control tokens spelled out in text, as Hugging Face's tokenizer finds them, and the BOS. */
#include "minuano/text.h"

#include <stdlib.h>
#include <string.h>

#include "sentencepiece.h"

struct special {
    const char *text;
    size_t length;
    int32_t id;
};

struct mn_tokenizer {
    mn_pieces *pieces;
    int vocab, bos, eos;
    struct special *special; /* by first byte, then longest first */
    size_t special_count;
    size_t special_begin[257]; /* those whose first byte is b: special_begin[b] ... [b + 1] - 1 */
    bool beside[256][256];     /* some piece holds byte b right behind byte a: [a][b] */
};

static int compare_special(const void *a, const void *b)
{
    const struct special *x = a, *y = b;
    int first = (unsigned char)x->text[0] - (unsigned char)y->text[0];
    if (first != 0) return first;
    return x->length > y->length ? -1 : x->length < y->length;
}

/* Control pieces, and the unknown piece: what Hugging Face has as special tokens. */
static void collect_special(mn_tokenizer *t)
{
    MN_LIST(struct special) list = {0};
    for (int id = 0; id < t->vocab; id++) {
        const char *text = mn_pieces_text(t->pieces, id);
        if (text[0] != '\0' && mn_pieces_kind(t->pieces, id) != MN_PIECE_TEXT)
            *MN_PUSH(&list) = (struct special){.text = text, .length = strlen(text), .id = id};
    }
    if (list.count) qsort(list.item, list.count, sizeof *list.item, compare_special);
    t->special = list.item;
    t->special_count = list.count;
    for (size_t b = 0, i = 0; b <= 256; b++) {
        while (i < list.count && (unsigned char)list.item[i].text[0] < b) i++;
        t->special_begin[b] = i;
    }
}

/* Where pieces may come about in other ways than by merging, every two bytes count as neighbours.
 */
static void collect_neighbours(mn_tokenizer *t)
{
    if (!mn_pieces_merges_pairs(t->pieces)) {
        memset(t->beside, 1, sizeof t->beside);
        return;
    }
    for (int id = 0; id < t->vocab; id++) {
        const unsigned char *text = (const unsigned char *)mn_pieces_text(t->pieces, id);
        for (size_t i = 0; text[i] && text[i + 1]; i++) t->beside[text[i]][text[i + 1]] = true;
    }
}

mn_status mn_tokenizer_open(mn_tokenizer **out, const char *folder)
{
    struct mn_mapping model = {0};
    mn_arena *arena = NULL;
    mn_tokenizer *t = mn_realloc(NULL, 1, sizeof *t);
    mn_status st;
    *t = (mn_tokenizer){0};
    MN_GO(mn_arena_open(&arena));
    const char *path = mn_path(arena, folder, "tokenizer.model");
    MN_GO(mn_mapping_open(&model, path));
    MN_GO(mn_pieces_open(&t->pieces, model.data, model.size, path));
    t->vocab = mn_pieces_count(t->pieces);
    t->bos = mn_pieces_bos(t->pieces);
    t->eos = mn_pieces_eos(t->pieces);
    collect_special(t);
    collect_neighbours(t);
    *out = t;
    t = NULL;
done:
    mn_tokenizer_close(&t);
    mn_mapping_close(&model);
    mn_arena_close(&arena);
    return st;
}

void mn_tokenizer_close(mn_tokenizer **tokenizer)
{
    mn_tokenizer *t = *tokenizer;
    if (!t) return;
    mn_pieces_close(&t->pieces);
    free(t->special);
    free(t);
    *tokenizer = NULL;
}

int mn_tokenizer_vocab(const mn_tokenizer *tokenizer)
{
    return tokenizer->vocab;
}

int mn_tokenizer_bos(const mn_tokenizer *tokenizer)
{
    return tokenizer->bos;
}

int mn_tokenizer_eos(const mn_tokenizer *tokenizer)
{
    return tokenizer->eos;
}

int mn_tokenizer_piece(const mn_tokenizer *tokenizer, const char *piece)
{
    return mn_pieces_find(tokenizer->pieces, piece);
}

void mn_ids_add(struct mn_ids *ids, int32_t id)
{
    *MN_PUSH(ids) = id;
}

void mn_ids_free(struct mn_ids *ids)
{
    free(ids->item);
    *ids = (struct mn_ids){0};
}

static void add_id(void *user, int32_t id)
{
    mn_ids_add(user, id);
}

static mn_status encode(const mn_tokenizer *t, enum mn_piece_prefix prefix, const char *text,
                        size_t length, struct mn_ids *out)
{
    return length == 0 ? MN_OK : mn_pieces_encode(t->pieces, prefix, text, length, add_id, out);
}

/* The special token that `text` begins with, the longest where several match; NULL: none. */
static const struct special *special_at(const mn_tokenizer *t, const char *text, size_t length)
{
    unsigned char first = (unsigned char)text[0];
    for (size_t i = t->special_begin[first]; i < t->special_begin[first + 1]; i++)
        if (t->special[i].length <= length &&
            memcmp(t->special[i].text, text, t->special[i].length) == 0)
            return &t->special[i];
    return NULL;
}

static const char mark[] = "\xe2\x96\x81"; /* U+2581, how pieces spell a space */

bool mn_tokenizer_may_cut(const mn_tokenizer *tokenizer, char before, char behind)
{
    unsigned char a = (unsigned char)(before == ' ' ? mark[2] : before);
    unsigned char b = (unsigned char)(behind == ' ' ? mark[0] : behind);
    bool inside = (b & 0xc0) == 0x80; /* of a character */
    return !inside && !tokenizer->beside[a][b];
}

static bool begins_with_space(const char *text, size_t length)
{
    return (length >= 1 && text[0] == ' ') || (length >= 3 && memcmp(text, mark, 3) == 0);
}

/* Hugging Face's Metaspace with prepend_scheme "first": a space is put before the text only where
 * the text begins, and only if there is none. SentencePiece alone would put a second one. */
static mn_status encode_beginning(const mn_tokenizer *t, const char *text, size_t length,
                                  struct mn_ids *out)
{
    bool spaced = begins_with_space(text, length);
    return encode(t, spaced ? MN_PREFIX_NONE : MN_PREFIX_AS_TRAINED, text, length, out);
}

static mn_status encode_around_special(const mn_tokenizer *t, const char *text, size_t length,
                                       struct mn_ids *out)
{
    size_t begin = 0;
    for (size_t at = 0; at <= length;) {
        const struct special *found = at < length ? special_at(t, text + at, length - at) : NULL;
        if (!found && at < length) {
            at++;
            continue;
        }
        if (begin == 0)
            MN_TRY(encode_beginning(t, text, at, out));
        else
            MN_TRY(encode(t, MN_PREFIX_NONE, text + begin, at - begin, out));
        if (!found) break;
        mn_ids_add(out, found->id);
        begin = at += found->length;
    }
    return MN_OK;
}

mn_status mn_tokenize(const mn_tokenizer *tokenizer, const char *text, size_t length, int flags,
                      struct mn_ids *out)
{
    size_t before = out->count;
    if (flags & MN_TOKENIZE_ADD_BOS) {
        if (tokenizer->bos < 0)
            return mn_fail(MN_UNSUPPORTED, "the tokenizer has no token that begins a sequence");
        mn_ids_add(out, tokenizer->bos);
    }
    mn_status st =
        flags & MN_TOKENIZE_CONTINUE        ? encode(tokenizer, MN_PREFIX_NONE, text, length, out)
        : flags & MN_TOKENIZE_PARSE_SPECIAL ? encode_around_special(tokenizer, text, length, out)
                                            : encode_beginning(tokenizer, text, length, out);
    if (st != MN_OK) out->count = before;
    return st;
}

static void add_text(void *user, const char *bytes, size_t length)
{
    mn_text_add(user, bytes, length);
}

mn_status mn_detokenize(const mn_tokenizer *tokenizer, const int32_t *ids, size_t count,
                        struct mn_text *out)
{
    struct mn_ids text = {0};
    mn_status st = MN_OK;
    for (size_t i = 0; i < count; i++) {
        if (ids[i] < 0) {
            st =
                mn_fail(MN_INVALID, "token %zu: expected an id of at least 0, found %d", i, ids[i]);
            goto done;
        }
        if (ids[i] >= tokenizer->vocab) continue;
        if (mn_pieces_kind(tokenizer->pieces, ids[i]) != MN_PIECE_CONTROL)
            mn_ids_add(&text, ids[i]);
    }
    mn_text_add(out, "", 0);
    if (text.count) st = mn_pieces_decode(tokenizer->pieces, text.item, text.count, add_text, out);
done:
    mn_ids_free(&text);
    return st;
}
