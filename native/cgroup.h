/* Cgroup directories and their files. */
#ifndef WHERRY_CGROUP_H
#define WHERRY_CGROUP_H

#include "launch.h"

int write_value(const char *path, const char *value);
ssize_t read_small(int dir, const char *name, char *text, size_t size); /* ended by a NUL */
bool cgroup_counter(const char *path, const char *key);
bool cgroups_remove(const struct settings *settings, bool kill);

#endif
