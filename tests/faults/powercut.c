/*
 * A disk that can lose power, run full, or fail to sync, for one directory of one process. Preloaded (LD_PRELOAD) into a
 * program whose files are to be tested; it changes nothing outside that directory.
 *
 * Model. A written byte is pending until fsync or fdatasync of its file returns; sync_file_range does not count, as it
 * leaves the data in the drive's volatile cache. What is durable is kept in a shadow file per inode. At the power cut each
 * pending 4 KiB page survives with a given probability, independently of the others, so that any order in which a drive
 * may have written them out can be seen; then the process dies. Renames, unlinks and new directory entries always survive.
 *
 * Environment (all sizes and counts decimal):
 *   POWERCUT_DIR      absolute path; files below it are watched
 *   POWERCUT_SHADOW   existing directory for the shadow files, named by inode number
 *   POWERCUT_AFTER    cut the power at this write or sync of a watched file, counted from 1
 *   POWERCUT_KEEP     how many percent of the pending pages survive the cut (default 0)
 *   POWERCUT_SEED     seed of that choice
 *   POWERCUT_SPACE    writes fail with ENOSPC once this many bytes were written
 *   POWERCUT_BAD_SYNC this sync, counted from 1, and all later ones fail with EIO
 *   POWERCUT_SNAPSHOT if set, the process dies after its first write to a file named snap.*.generating
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { MAX_FD = 4096, PAGE = 4096 };

/* A pending change of a file: bytes at an offset, or (bytes == NULL) a truncation to that offset. */
struct change {
    struct change *next;
    off_t at;
    size_t len;
    char *bytes;
};

struct watched {
    struct watched *next;
    ino_t inode;
    int shadow;
    int is_new_snapshot;
    struct change *first, **last;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct watched *all;
static struct watched *by_fd[MAX_FD];
static long long operations, syncs, space_left, cut_after, bad_sync;
static int kill_in_snapshot;
static unsigned long long random_state;

static long long number(const char *name, long long otherwise) {
    const char *text = getenv(name);
    return text ? atoll(text) : otherwise;
}

static unsigned random_percent(void) {
    random_state = random_state * 6364136223846793005ULL + 1442695040888963407ULL;
    return (unsigned)(random_state >> 33) % 100;
}

__attribute__((constructor)) static void start(void) {
    space_left = number("POWERCUT_SPACE", LLONG_MAX);
    cut_after = number("POWERCUT_AFTER", -1);
    bad_sync = number("POWERCUT_BAD_SYNC", LLONG_MAX);
    kill_in_snapshot = getenv("POWERCUT_SNAPSHOT") != NULL;
    random_state = (unsigned long long)number("POWERCUT_SEED", 1);
}

static void die(void) {
    syscall(SYS_kill, getpid(), SIGKILL);
    for (;;)
        pause();
}

static void copy_range(int shadow, off_t at, const char *bytes, size_t len) {
    while (len > 0) {
        long done = syscall(SYS_pwrite64, shadow, bytes, len, at);
        if (done <= 0) {
            static const char message[] = "powercut: the shadow cannot be written\n";
            syscall(SYS_write, 2, message, sizeof message - 1);
            die();
        }
        bytes += done, at += done, len -= (size_t)done;
    }
}

/* Makes everything pending durable. */
static void settle(struct watched *file) {
    for (struct change *c = file->first, *next; c; c = next) {
        next = c->next;
        if (c->bytes)
            copy_range(file->shadow, c->at, c->bytes, c->len);
        else
            syscall(SYS_ftruncate, file->shadow, c->at);
        free(c->bytes);
        free(c);
    }
    file->first = NULL;
    file->last = &file->first;
}

/* Lets chance decide page by page what of the pending changes reached the disk. */
static void cut(void) {
    unsigned keep = (unsigned)number("POWERCUT_KEEP", 0);
    for (struct watched *file = all; file; file = file->next)
        for (struct change *c = file->first; c; c = c->next) {
            if (!c->bytes) {
                if (random_percent() < keep)
                    syscall(SYS_ftruncate, file->shadow, c->at);
                continue;
            }
            for (size_t done = 0, part; done < c->len; done += part) {
                part = PAGE - (size_t)((c->at + (off_t)done) % PAGE);
                if (part > c->len - done)
                    part = c->len - done;
                if (random_percent() < keep)
                    copy_range(file->shadow, c->at + (off_t)done, c->bytes + done, part);
            }
        }
    die();
}

static void count_operation(void) {
    if (++operations == cut_after)
        cut();
}

static void pend(struct watched *file, off_t at, const void *bytes, size_t len) {
    struct change *c = calloc(1, sizeof *c);
    c->at = at;
    c->len = len;
    if (bytes) {
        c->bytes = malloc(len ? len : 1);
        memcpy(c->bytes, bytes, len);
    }
    *file->last = c;
    file->last = &c->next;
}

static struct watched *watched_fd(int fd) {
    return fd >= 0 && fd < MAX_FD ? by_fd[fd] : NULL;
}

/* What a file holds when it is first opened was there before the test and is durable. */
static void copy_whole(int from, int to) {
    char buffer[1 << 16];
    off_t at = 0;
    long got;
    while ((got = syscall(SYS_pread64, from, buffer, sizeof buffer, at)) > 0) {
        copy_range(to, at, buffer, (size_t)got);
        at += got;
    }
}

static void watch(int fd) {
    const char *dir = getenv("POWERCUT_DIR"), *shadow = getenv("POWERCUT_SHADOW");
    char full[PATH_MAX], shadow_path[PATH_MAX], link[64];
    struct stat info;
    if (fd < 0 || fd >= MAX_FD || !dir || !shadow || fstat(fd, &info) != 0 || !S_ISREG(info.st_mode))
        return;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    long len = syscall(SYS_readlink, link, full, sizeof full - 1);
    if (len <= 0)
        return;
    full[len] = 0;
    if (strncmp(full, dir, strlen(dir)) != 0 || full[strlen(dir)] != '/')
        return;
    struct watched *file = all;
    while (file && file->inode != info.st_ino)
        file = file->next;
    if (!file) {
        file = calloc(1, sizeof *file);
        file->inode = info.st_ino;
        file->last = &file->first;
        file->next = all;
        snprintf(shadow_path, sizeof shadow_path, "%s/%llu", shadow, (unsigned long long)info.st_ino);
        file->shadow = (int)syscall(SYS_openat, AT_FDCWD, shadow_path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        if (file->shadow < 0)
            die();
        int source = (int)syscall(SYS_openat, AT_FDCWD, link, O_RDONLY | O_CLOEXEC, 0);
        copy_whole(source, file->shadow);
        syscall(SYS_close, source);
        all = file;
    } else if (info.st_size == 0 && !file->first) {
        /* The inode of a removed file, given to a new one. */
        syscall(SYS_ftruncate, file->shadow, 0);
    }
    const char *name = strrchr(full, '/') + 1, *end = strrchr(name, '.');
    file->is_new_snapshot = strncmp(name, "snap.", 5) == 0 && end && strcmp(end, ".generating") == 0;
    by_fd[fd] = file;
}

static int opened(int dir, const char *path, int flags, mode_t mode) {
    int fd = (int)syscall(SYS_openat, dir, path, flags, mode);
    int kept = errno;
    pthread_mutex_lock(&lock);
    watch(fd);
    pthread_mutex_unlock(&lock);
    errno = kept;
    return fd;
}

#define OPEN(name)                                                                                                       \
    int name(const char *path, int flags, ...) {                                                                         \
        va_list args;                                                                                                    \
        va_start(args, flags);                                                                                           \
        mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(args, mode_t) : 0;                                          \
        va_end(args);                                                                                                    \
        return opened(AT_FDCWD, path, flags, mode);                                                                      \
    }
#define OPENAT(name)                                                                                                     \
    int name(int dir, const char *path, int flags, ...) {                                                                \
        va_list args;                                                                                                    \
        va_start(args, flags);                                                                                           \
        mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(args, mode_t) : 0;                                          \
        va_end(args);                                                                                                    \
        return opened(dir, path, flags, mode);                                                                           \
    }
OPEN(open)
OPEN(open64)
OPENAT(openat)
OPENAT(openat64)

int close(int fd) {
    pthread_mutex_lock(&lock);
    if (fd >= 0 && fd < MAX_FD)
        by_fd[fd] = NULL;
    int result = (int)syscall(SYS_close, fd);
    pthread_mutex_unlock(&lock);
    return result;
}

/* at < 0: at the file's own position, which is also where the kernel puts it. */
static ssize_t written(int fd, const void *bytes, size_t len, off_t at) {
    pthread_mutex_lock(&lock);
    struct watched *file = watched_fd(fd);
    ssize_t result;
    if (!file) {
        pthread_mutex_unlock(&lock);
        return at < 0 ? syscall(SYS_write, fd, bytes, len) : syscall(SYS_pwrite64, fd, bytes, len, at);
    }
    count_operation();
    if (space_left <= 0) {
        errno = ENOSPC;
        result = -1;
    } else {
        if ((long long)len > space_left)
            len = (size_t)space_left;
        off_t start = at < 0 ? syscall(SYS_lseek, fd, 0, SEEK_CUR) : at;
        result = at < 0 ? syscall(SYS_write, fd, bytes, len) : syscall(SYS_pwrite64, fd, bytes, len, at);
        if (result > 0) {
            space_left -= result;
            pend(file, start, bytes, (size_t)result);
            if (file->is_new_snapshot && kill_in_snapshot)
                die();
        }
    }
    int kept = errno;
    pthread_mutex_unlock(&lock);
    errno = kept;
    return result;
}

ssize_t write(int fd, const void *bytes, size_t len) { return written(fd, bytes, len, -1); }
ssize_t pwrite(int fd, const void *bytes, size_t len, off_t at) { return written(fd, bytes, len, at); }
ssize_t pwrite64(int fd, const void *bytes, size_t len, off64_t at) { return written(fd, bytes, len, at); }

static int truncated(int fd, off_t size) {
    pthread_mutex_lock(&lock);
    struct watched *file = watched_fd(fd);
    int result = (int)syscall(SYS_ftruncate, fd, size), kept = errno;
    if (file && result == 0) {
        count_operation();
        pend(file, size, NULL, 0);
    }
    pthread_mutex_unlock(&lock);
    errno = kept;
    return result;
}

int ftruncate(int fd, off_t size) { return truncated(fd, size); }
int ftruncate64(int fd, off64_t size) { return truncated(fd, size); }

static int synced(int fd, long call) {
    pthread_mutex_lock(&lock);
    struct watched *file = watched_fd(fd);
    int result = 0, kept = errno;
    if (!file) {
        pthread_mutex_unlock(&lock);
        return (int)syscall(call, fd);
    }
    count_operation();
    if (++syncs >= bad_sync) {
        kept = EIO;
        result = -1;
    } else {
        settle(file);
    }
    pthread_mutex_unlock(&lock);
    errno = kept;
    return result;
}

int fsync(int fd) { return synced(fd, SYS_fsync); }
int fdatasync(int fd) { return synced(fd, SYS_fdatasync); }
