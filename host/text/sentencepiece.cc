// sentencepiece.cc: the only file that knows the SentencePiece library. The rest is in tokenizer.c.
#include "sentencepiece.h"

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <sentencepiece_processor.h>

using sentencepiece::SentencePieceProcessor;

struct mn_pieces {
    SentencePieceProcessor trained; // as the model has it
    SentencePieceProcessor bare;    // the same, but nothing is put before the text
};

// normalizer_spec (field 3 of the model) with add_dummy_prefix (its field 3) false. Protocol
// buffers merge a message that occurs twice, so appending this to a model changes that one setting.
static constexpr std::string_view no_prefix("\x1a\x02\x18\x00", 4);

mn_status mn_pieces_open(mn_pieces **out, const void *model, size_t size, const char *where)
{
    auto pieces = std::make_unique<mn_pieces>();
    std::string bytes(static_cast<const char *>(model), size);
    auto status = pieces->trained.LoadFromSerializedProto(bytes);
    if (status.ok()) status = pieces->bare.LoadFromSerializedProto(bytes.append(no_prefix));
    if (!status.ok())
        return mn_fail(MN_INVALID, "%s: not a SentencePiece model: %s", where,
                       status.ToString().c_str());
    *out = pieces.release();
    return MN_OK;
}

void mn_pieces_close(mn_pieces **pieces)
{
    delete *pieces;
    *pieces = nullptr;
}

int mn_pieces_count(const mn_pieces *pieces)
{
    return pieces->trained.GetPieceSize();
}

int mn_pieces_bos(const mn_pieces *pieces)
{
    return pieces->trained.bos_id();
}

int mn_pieces_eos(const mn_pieces *pieces)
{
    return pieces->trained.eos_id();
}

const char *mn_pieces_text(const mn_pieces *pieces, int id)
{
    return pieces->trained.IdToPiece(id).c_str();
}

int mn_pieces_find(const mn_pieces *pieces, const char *text)
{
    int id = pieces->trained.PieceToId(text); // the unknown piece stands for all that are not there
    return pieces->trained.IdToPiece(id) == text ? id : -1;
}

enum mn_piece_kind mn_pieces_kind(const mn_pieces *pieces, int id)
{
    return pieces->trained.IsControl(id)   ? MN_PIECE_CONTROL
           : pieces->trained.IsUnknown(id) ? MN_PIECE_UNKNOWN
                                           : MN_PIECE_TEXT;
}

mn_status mn_pieces_encode(const mn_pieces *pieces, enum mn_piece_prefix prefix, const char *text,
                           size_t length, void (*emit)(void *user, int32_t id), void *user)
{
    std::vector<int> ids;
    const auto &processor = prefix == MN_PREFIX_NONE ? pieces->bare : pieces->trained;
    auto status = processor.Encode(std::string_view(text, length), &ids);
    if (!status.ok())
        return mn_fail(MN_INVALID, "SentencePiece cannot encode %zu bytes: %s", length,
                       status.ToString().c_str());
    for (int id : ids) emit(user, id);
    return MN_OK;
}

mn_status mn_pieces_decode(const mn_pieces *pieces, const int32_t *ids, size_t count,
                           void (*emit)(void *user, const char *bytes, size_t length), void *user)
{
    std::string text;
    auto status = pieces->trained.Decode(std::vector<int>(ids, ids + count), &text);
    if (!status.ok())
        return mn_fail(MN_INVALID, "SentencePiece cannot decode %zu ids: %s", count,
                       status.ToString().c_str());
    emit(user, text.data(), text.size());
    return MN_OK;
}
