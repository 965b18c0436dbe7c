/* training.h: a small model, its examples and a recipe, for tests that train. */
#ifndef MINUANO_TESTS_TRAINING_H
#define MINUANO_TESTS_TRAINING_H

#include "minuano/train.h"
#include "support/support.h"

struct world {
    mn_arena *arena;
    mn_device *device;
    mn_model *model;
    mn_ranks *ranks;
    struct mn_examples examples;
};
extern struct world world;

int open_world(void **state); /* of a group of tests */
int close_world(void **state);

/* Of make_train_fixtures.py. */
struct mn_train_settings recipe(void);
/* Nine steps of a fresh adapter with dropout, a checkpoint every three: what resuming has to get
 * right. */
struct mn_train_settings with_dropout(void);

mn_status train_with(const struct mn_train_settings *settings, const struct mn_probe *probe,
                     const char *folder, struct mn_train_result *result);

extern const char final_weights[];
char *contents(const char *folder, const char *name, size_t *size);
void check_same_file(const char *a, const char *b, const char *name);
/* Lines of `name` in both folders are equal but for the key that the clock fills. */
void check_same_lines(const char *a, const char *b, const char *name, const char *clock_key);

/* Runs job(user) in a process of its own, killed when `path` has so many lines; false: it was
 * faster than we looked, and is done. */
bool kill_at(const char *path, int lines, mn_status (*job)(void *user), void *user);

#endif
