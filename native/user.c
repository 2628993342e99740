/*
 * The user of a command, looked up in the image's own /etc/passwd and /etc/group by Docker's rules. Those files may
 * be anything that an image's author likes: they are read only if regular, and not beyond a bound.
 */
#define _GNU_SOURCE
#include "launch.h"
#include "kernel.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

enum { DATABASE_MAX = 8 << 20, FIELDS_MAX = 7, ID_MAX = 0x7fffffff, SPEC_MAX = 512 };

struct database {
    char *text; /* NUL-terminated, or NULL */
    size_t size;
    int error;  /* where it is there, but the host could not read it: to go on would be to give other rights */
};

struct identity {
    uint32_t uid, gid;
    char name[SPEC_MAX]; /* the entry that matched, or "" */
    const char *home;
    gid_t groups[GROUPS_MAX];
    size_t group_count;
};

static struct database read_database(const struct launch *launch, const char *path)
{
    struct database database = {NULL, 0, 0};
    struct stat status;
    int file = root_open(launch, path, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0);
    if (file < 0) {
        if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == EIO)
            database.error = errno;
        return database;
    }
    if (fstat(file, &status) != 0) {
        database.error = errno;
    } else if (S_ISREG(status.st_mode) && status.st_size > 0 && status.st_size < DATABASE_MAX) {
        size_t size = (size_t)status.st_size + 1, done = 0;
        char *text = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        ssize_t got = text == MAP_FAILED ? 0 : 1;
        while (got > 0 && done < size - 1)
            if ((got = read(file, text + done, size - 1 - done)) > 0)
                done += (size_t)got;
        if (text == MAP_FAILED || got < 0)
            database.error = errno;
        else
            database = (struct database){text, size, 0};
    }
    close(file);
    return database;
}

/* A number as Docker reads it: a sign is allowed, but nothing else around it. */
static bool number_of(const char *text, int64_t *value)
{
    char *end;
    if (*text == 0 || strspn(text + (*text == '-' || *text == '+'), "0123456789") == 0)
        return false;
    errno = 0;
    *value = strtoll(text, &end, 10);
    return *end == 0 && errno == 0;
}

static bool id_of(const char *text, uint32_t *id)
{
    int64_t value;
    if (!number_of(text, &value) || value < 0 || value > ID_MAX)
        return false;
    *id = (uint32_t)value;
    return true;
}

/* Split the line at *rest in place; returns how many fields it has, or -1 at the end of the text. */
static int next_line(char **rest, char *fields[FIELDS_MAX])
{
    int count = 0;
    char *line = strsep(rest, "\n");
    if (!line)
        return -1;
    while (line && count < FIELDS_MAX)
        fields[count++] = strsep(&line, ":");
    return count;
}

static bool find_user(struct database database, const char *wanted, bool numeric, uint32_t uid, struct identity *found)
{
    char *rest = database.text, *fields[FIELDS_MAX];
    uint32_t entry_uid, entry_gid;
    for (int count; rest && (count = next_line(&rest, fields)) >= 0;) {
        if (count < 4 || !id_of(fields[2], &entry_uid) || !id_of(fields[3], &entry_gid))
            continue;
        if (numeric ? entry_uid != uid : strcmp(fields[0], wanted) != 0)
            continue;
        found->uid = entry_uid;
        found->gid = entry_gid;
        snprintf(found->name, sizeof found->name, "%s", fields[0]);
        if (count >= 6 && *fields[5])
            found->home = fields[5];
        return true;
    }
    return false;
}

/* False where there is no more room: a group that is left out could open what its members are shut out of. */
static bool add_group(struct identity *identity, uint32_t gid)
{
    for (size_t i = 0; i < identity->group_count; i++)
        if (identity->groups[i] == gid)
            return true;
    if (identity->group_count == GROUPS_MAX)
        return false;
    identity->groups[identity->group_count++] = gid;
    return true;
}

static bool lists_member(char *members, const char *name)
{
    for (char *member; (member = strsep(&members, ",")) != NULL;)
        if (strcmp(member, name) == 0)
            return true;
    return false;
}

/* The supplementary groups of a name. False where they are too many. */
static bool add_memberships(struct database database, struct identity *identity)
{
    char *rest = database.text, *fields[FIELDS_MAX];
    uint32_t gid;
    for (int count; *identity->name && rest && (count = next_line(&rest, fields)) >= 0;)
        if (count >= 4 && id_of(fields[2], &gid) && lists_member(fields[3], identity->name) && !add_group(identity, gid))
            return false;
    return true;
}

static bool find_group(struct database database, const char *name, uint32_t *gid)
{
    char *rest = database.text, *fields[FIELDS_MAX];
    for (int count; rest && (count = next_line(&rest, fields)) >= 0;)
        if (count >= 3 && strcmp(fields[0], name) == 0 && id_of(fields[2], gid))
            return true;
    return false;
}

static int unreadable(struct launch *launch, struct database database, const char *path)
{
    errno = database.error;
    return fail_on(launch, path);
}

static int resolve_user(struct launch *launch, const char *wanted, struct identity *identity)
{
    int64_t number = 0;
    bool numeric = *wanted == 0 || number_of(wanted, &number);
    if (numeric && (number < 0 || number > ID_MAX))
        return fail_text(launch, "uids and gids must be in range 0-2147483647");
    struct database passwd = read_database(launch, "/etc/passwd");
    if (passwd.error)
        return unreadable(launch, passwd, "/etc/passwd");
    if (find_user(passwd, wanted, numeric, (uint32_t)number, identity))
        return 0;
    if (!numeric)
        return fail_text(launch, "unable to find user %s: no matching entries in passwd file", wanted);
    identity->uid = (uint32_t)number;
    return 0;
}

/* A group by name or number; digits are always a number. */
static int resolve_group(struct launch *launch, const char *wanted, uint32_t *gid)
{
    int64_t number;
    if (!number_of(wanted, &number)) {
        struct database groups = read_database(launch, "/etc/group");
        if (groups.error)
            return unreadable(launch, groups, "/etc/group");
        if (find_group(groups, wanted, gid))
            return 0;
        return fail_text(launch, "unable to find group %s: no matching entries in group file", wanted);
    }
    if (number < 0 || number > ID_MAX)
        return fail_text(launch, "uids and gids must be in range 0-2147483647");
    *gid = (uint32_t)number;
    return 0;
}

static int resolve(struct launch *launch, const struct step *step, struct identity *identity)
{
    char spec[SPEC_MAX];
    if (step->args[USER_SPEC].length >= sizeof spec)
        return fail_text(launch, "the name of the user is too long");
    memcpy(spec, step_text(step, USER_SPEC), step->args[USER_SPEC].length + 1);
    char *group = strchr(spec, ':');
    if (group)
        *group++ = 0;
    if (resolve_user(launch, spec, identity) != 0)
        return -1;
    if (group && *group) {
        if (resolve_group(launch, group, &identity->gid) != 0)
            return -1;
        add_group(identity, identity->gid);
    } else {
        add_group(identity, identity->gid);
        struct database groups = read_database(launch, "/etc/group");
        if (groups.error)
            return unreadable(launch, groups, "/etc/group");
        if (!add_memberships(groups, identity))
            return fail_text(launch, "the user is in more than %d groups", GROUPS_MAX);
    }
    for (uint32_t i = 1; i < step->argc; i++) {
        uint32_t gid;
        if (resolve_group(launch, step_text(step, i), &gid) != 0)
            return -1;
        if (!add_group(identity, gid))
            return fail_text(launch, "the user is in more than %d groups", GROUPS_MAX);
    }
    return 0;
}

/* The command's own streams belong to its user, so that it can open /dev/stdout again; /dev/null does not. */
static void own_streams(uid_t uid)
{
    struct stat status;
    for (int fd = 0; fd <= 2; fd++)
        if (fstat(fd, &status) == 0 && !(S_ISCHR(status.st_mode) && status.st_rdev == makedev(1, 3)))
            if (fchown(fd, uid, (gid_t)-1) != 0)
                errno = 0; /* some files have no owner to change; Docker goes on too */
}

int step_user(struct launch *launch, const struct step *step)
{
    static struct identity identity; /* large, and zero */
    identity.home = "/";
    if (resolve(launch, step, &identity) != 0)
        return -1;
    snprintf(launch->home, sizeof launch->home, "HOME=%s", identity.home);
    if (identity.uid != 0)
        own_streams(identity.uid);
    if (setgroups(identity.group_count, identity.groups) != 0)
        return fail_on(launch, "setgroups");
    if (setresgid(identity.gid, identity.gid, identity.gid) != 0)
        return fail_on(launch, "setgid");
    if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) != 0 || setresuid(identity.uid, identity.uid, identity.uid) != 0)
        return fail_on(launch, "setuid");
    if (getuid() != identity.uid || geteuid() != identity.uid || getgid() != identity.gid) /* a filter can feign success */
        return fail_text(launch, "the user has not become %u:%u: the seccomp profile lies", identity.uid, identity.gid);
    return 0;
}
