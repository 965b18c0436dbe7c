/* test_safetensors.c: what the reader hands out, and every way in which a hostile header is
 * refused. */
#include "support/support.h"

#include <unistd.h>

#include "minuano/safetensors.h"

/* A file of 8 bytes of length, the header, then `data` zero bytes. */
static const char *write_raw(const char *name, const char *header, uint64_t claimed, size_t data)
{
    const char *path = test_scratch(name);
    FILE *file = fopen(path, "wb");
    if (!file) fail_msg("%s", path);
    for (int i = 0; i < 8; i++) putc((int)(claimed >> 8 * i & 0xff), file);
    fputs(header, file);
    for (size_t i = 0; i < data; i++) putc(0, file);
    fclose(file);
    return path;
}

static const struct {
    const char *name, *header;
    size_t data;
    const char *words;
} hostile[] = {
    {"not json", "{\"a\":", 0, "not JSON"},
    {"not an object", "[1]", 0, "begins with {"},
    {"duplicate names",
     "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},"
     "\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]}}",
     8, "duplicate"},
    {"entry is no object", "{\"a\":3}", 0, "tensor a: expected an object"},
    {"no dtype", "{\"a\":{\"shape\":[1],\"data_offsets\":[0,4]}}", 4, "\"dtype\""},
    {"unknown dtype", "{\"a\":{\"dtype\":\"F33\",\"shape\":[1],\"data_offsets\":[0,4]}}", 4,
     "unknown dtype \"F33\""},
    {"negative size", "{\"a\":{\"dtype\":\"F32\",\"shape\":[-1],\"data_offsets\":[0,4]}}", 4,
     "tensor a: shape"},
    {"real size", "{\"a\":{\"dtype\":\"F32\",\"shape\":[1.0],\"data_offsets\":[0,4]}}", 4,
     "tensor a: shape"},
    {"product overflows",
     "{\"a\":{\"dtype\":\"F32\",\"shape\":[4294967296,4294967296,4294967296],"
     "\"data_offsets\":[0,4]}}",
     4, "too many elements"},
    {"five dimensions", "{\"a\":{\"dtype\":\"F32\",\"shape\":[1,1,1,1,1],\"data_offsets\":[0,4]}}",
     4, "at most 4 dimensions"},
    {"one offset", "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0]}}", 4,
     "two integers"},
    {"offsets reversed", "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,0]}}", 4,
     "outside"},
    {"out of range", "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}", 4,
     "damaged or truncated"},
    {"huge offset",
     "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],"
     "\"data_offsets\":[9223372036854775803,9223372036854775807]}}",
     4, "outside"},
    {"size and shape differ", "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,8]}}", 8,
     "expected 4 bytes by its dtype and shape, found 8"},
    {"overlap",
     "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]},"
     "\"b\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]}}",
     8, "tensor b: overlaps"},
    {"gap",
     "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},"
     "\"b\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[8,12]}}",
     12, "tensor b: leaves a gap"},
    {"bytes behind", "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}", 9,
     "expected 4 bytes of data, found 9"},
};

static void test_hostile_headers_are_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < MN_COUNT(hostile); i++) {
        mn_tensors *tensors = NULL;
        const char *path = write_raw(hostile[i].name, hostile[i].header, strlen(hostile[i].header),
                                     hostile[i].data);
        FAILS(mn_tensors_open(&tensors, path), MN_INVALID, hostile[i].words);
        assert_non_null(strstr(mn_error(), path));
        assert_null(tensors);
    }
}

static void test_header_lengths_are_checked(void **state)
{
    mn_tensors *tensors = NULL;
    (void)state;
    FAILS(mn_tensors_open(&tensors, write_raw("longer", "{}", 3, 0)), MN_INVALID, "truncated");
    FAILS(mn_tensors_open(&tensors, write_raw("huge", "{}", UINT64_MAX, 0)), MN_INVALID, "claims");
    FAILS(mn_tensors_open(&tensors, write_raw("zero", "{}", 0, 0)), MN_INVALID, "begins with {");
    OK(mn_file_write(test_scratch("short"), "abc", 3));
    FAILS(mn_tensors_open(&tensors, test_scratch("short")), MN_INVALID, "3 bytes");
    OK(mn_file_write(test_scratch("empty"), "", 0));
    FAILS(mn_tensors_open(&tensors, test_scratch("empty")), MN_INVALID, "0 bytes");
    FAILS(mn_tensors_open(&tensors, test_scratch("absent")), MN_NOT_FOUND, "absent");
}

static void test_written_tensors_are_read_back(void **state)
{
    static const float values[] = {1, -2, 3.5f, 0, 1e-30f, 7};
    static const uint16_t words[] = {0x3f80, 0xc000};
    const struct mn_tensor out[] = {
        {.name = "z.matrix",
         .type = MN_F32,
         .dims = 2,
         .shape = {2, 3},
         .count = 6,
         .data = values},
        {.name = "a.vector", .type = MN_BF16, .dims = 1, .shape = {2}, .count = 2, .data = words},
        {.name = "empty", .type = MN_F16, .dims = 2, .shape = {0, 3}, .count = 0, .data = values}};
    const struct mn_tensor *tensor = NULL;
    mn_tensors *tensors = NULL;
    (void)state;
    OK(mn_tensors_write(test_scratch("written"), out, MN_COUNT(out), "made_by", "minuano"));
    OK(mn_tensors_open(&tensors, test_scratch("written")));
    assert_int_equal(mn_tensors_count(tensors), 3);
    assert_string_equal(mn_tensors_at(tensors, 0)->name, "a.vector");
    OK(mn_tensors_get(tensors, "z.matrix", 2, 3, &tensor));
    assert_memory_equal(tensor->data, values, sizeof values);
    OK(mn_tensors_get(tensors, "a.vector", 2, 0, &tensor));
    assert_memory_equal(tensor->data, words, sizeof words);
    FAILS(mn_tensors_get(tensors, "z.matrix", 3, 2, &tensor), MN_INVALID,
          "tensor z.matrix: expected shape [3, 2], found [2, 3]");
    FAILS(mn_tensors_get(tensors, "a.vector", 2, 1, &tensor), MN_INVALID, "found [2]");
    FAILS(mn_tensors_get(tensors, "q", 2, 3, &tensor), MN_INVALID, "tensor q is missing");
    assert_null(mn_tensors_find(tensors, "q"));
    assert_string_equal(mn_tensors_metadata(tensors, "format"), "pt");
    assert_string_equal(mn_tensors_metadata(tensors, "made_by"), "minuano");
    assert_null(mn_tensors_metadata(tensors, "absent"));
    mn_tensors_close(&tensors);
}

static void test_other_dtypes_are_named_when_asked_for(void **state)
{
    static const char header[] = "{\"__metadata__\":{\"format\":\"pt\"},"
                                 "\"i\":{\"dtype\":\"I64\",\"shape\":[1],\"data_offsets\":[0,8]},"
                                 "\"f\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[8,12]}}";
    const struct mn_tensor *tensor;
    mn_tensors *tensors = NULL;
    (void)state;
    OK(mn_tensors_open(&tensors, write_raw("others", header, strlen(header), 12)));
    assert_int_equal(mn_tensors_count(tensors), 1);
    assert_int_equal(mn_tensors_unread(tensors), 1);
    FAILS(mn_tensors_get(tensors, "i", 1, 0, &tensor), MN_UNSUPPORTED, "found I64");
    mn_tensors_close(&tensors);
}

/* A copy of the sharded fixture whose files a test may break. */
static const char *copy_sharded(const char *name)
{
    static const char *const files[] = {
        "config.json", "model.safetensors.index.json", "model-00001-of-00003.safetensors",
        "model-00002-of-00003.safetensors", "model-00003-of-00003.safetensors"};
    const char *folder = test_scratch(name);
    mn_arena *arena = NULL;
    OK(mn_arena_open(&arena));
    OK(mn_make_directories(folder));
    for (size_t i = 0; i < MN_COUNT(files); i++) {
        char *data;
        size_t size;
        OK(mn_file_read(arena, mn_path(arena, test_fixture("model/sharded"), files[i]), &data,
                        &size));
        OK(mn_file_write(mn_path(arena, folder, files[i]), data, size));
    }
    mn_arena_close(&arena);
    return folder;
}

static void replace_in(const char *path, const char *old, const char *new)
{
    char *text, *at;
    mn_arena *arena = NULL;
    OK(mn_arena_open(&arena));
    OK(mn_file_read(arena, path, &text, NULL));
    at = strstr(text, old);
    if (!at) fail_msg("%s holds no %s", path, old);
    char *changed =
        mn_arena_printf(arena, "%.*s%s%s", (int)(at - text), text, new, at + strlen(old));
    OK(mn_file_write(path, changed, strlen(changed)));
    mn_arena_close(&arena);
}

static void test_damaged_shards_are_named(void **state)
{
    mn_tensors *tensors = NULL;
    (void)state;
    OK(mn_tensors_open(&tensors, copy_sharded("sound")));
    assert_int_equal(mn_tensors_count(tensors), 20);
    mn_tensors_close(&tensors);

    copy_sharded("missing");
    assert_int_equal(remove(test_scratch("missing/model-00002-of-00003.safetensors")), 0);
    FAILS(mn_tensors_open(&tensors, test_scratch("missing")), MN_NOT_FOUND,
          "missing/model-00002-of-00003.safetensors is not there");

    copy_sharded("truncated");
    assert_int_equal(truncate(test_scratch("truncated/model-00003-of-00003.safetensors"), 9000), 0);
    FAILS(mn_tensors_open(&tensors, test_scratch("truncated")), MN_INVALID,
          "model-00003-of-00003.safetensors");

    copy_sharded("swapped");
    replace_in(test_scratch("swapped/model.safetensors.index.json"),
               "\"model.norm.weight\": \"model-00002", "\"model.norm.weight\": \"model-00001");
    FAILS(mn_tensors_open(&tensors, test_scratch("swapped")), MN_INVALID,
          "tensor model.norm.weight lies in model-00002-of-00003.safetensors");

    copy_sharded("extra");
    replace_in(test_scratch("extra/model.safetensors.index.json"), "\"weight_map\": {",
               "\"weight_map\": {\n\"ghost\": \"model-00001-of-00003.safetensors\",");
    FAILS(mn_tensors_open(&tensors, test_scratch("extra")), MN_INVALID, "tensor ghost is not in");

    copy_sharded("outside");
    replace_in(test_scratch("outside/model.safetensors.index.json"), "\"model-00001-of",
               "\"../model-00001-of");
    FAILS(mn_tensors_open(&tensors, test_scratch("outside")), MN_INVALID, "file in this folder");

    OK(mn_make_directories(test_scratch("bare")));
    FAILS(mn_tensors_open(&tensors, test_scratch("bare")), MN_NOT_FOUND, "model.safetensors");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hostile_headers_are_refused),
        cmocka_unit_test(test_header_lengths_are_checked),
        cmocka_unit_test(test_written_tensors_are_read_back),
        cmocka_unit_test(test_other_dtypes_are_named_when_asked_for),
        cmocka_unit_test(test_damaged_shards_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
