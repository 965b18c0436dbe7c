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
    bool merges_pairs;
};

// normalizer_spec (field 3 of the model) with add_dummy_prefix (its field 3) false. Protocol
// buffers merge a message that occurs twice, so appending this to a model changes that one setting.
static constexpr std::string_view no_prefix("\x1a\x02\x18\x00", 4);

// --- what the library does not tell of a model, read from its bytes ---

struct field {
    uint64_t number, value;
    std::string_view bytes; // of a string or a message
};

static bool read_varint(std::string_view &in, uint64_t &out)
{
    out = 0;
    for (int shift = 0; shift < 64 && !in.empty(); shift += 7) {
        const auto byte = static_cast<unsigned char>(in.front());
        in.remove_prefix(1);
        out |= uint64_t(byte & 0x7f) << shift;
        if (!(byte & 0x80)) return true;
    }
    return false;
}

// The next field of a message; false at its end, and at what is not a protocol buffer.
static bool read_field(std::string_view &in, field &out)
{
    uint64_t key;
    out = {};
    if (!read_varint(in, key)) return false;
    out.number = key >> 3;
    const unsigned kind = key & 7;
    if (kind == 0) return read_varint(in, out.value);
    uint64_t size = kind == 5 ? 4 : 8;
    if (kind == 2 && !read_varint(in, size)) return false;
    if ((kind != 1 && kind != 2 && kind != 5) || size > in.size()) return false;
    out.bytes = in.substr(0, size);
    in.remove_prefix(size);
    return true;
}

// trainer_spec (field 2): byte pair encoding (model_type 3 = 2) with byte fallback (35), spaces
// before words (24 is 0). normalizer_spec (field 3): no map of characters (2), no spaces taken away
// (4, true unless set), spaces escaped (5, true unless set).
static bool merges_pairs(std::string_view model)
{
    field part, f;
    uint64_t type = 1, fallback = 0, suffix = 0, map = 0, removes = 1, escapes = 1;
    while (read_field(model, part))
        if (part.number == 2) {
            for (std::string_view spec = part.bytes; read_field(spec, f);) {
                if (f.number == 3) type = f.value;
                if (f.number == 24) suffix = f.value;
                if (f.number == 35) fallback = f.value;
            }
        } else if (part.number == 3) {
            for (std::string_view spec = part.bytes; read_field(spec, f);) {
                if (f.number == 2) map = f.bytes.size();
                if (f.number == 4) removes = f.value;
                if (f.number == 5) escapes = f.value;
            }
        }
    return type == 2 && fallback && !suffix && !map && !removes && escapes;
}

mn_status mn_pieces_open(mn_pieces **out, const void *model, size_t size, const char *where)
{
    auto pieces = std::make_unique<mn_pieces>();
    std::string bytes(static_cast<const char *>(model), size);
    pieces->merges_pairs = merges_pairs(bytes);
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

bool mn_pieces_merges_pairs(const mn_pieces *pieces)
{
    return pieces->merges_pairs;
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
