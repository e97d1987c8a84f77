/*
 * A camera for tests: a library that is preloaded into a program and plays the part of one
 * Video4Linux capture device, so that the program's own camera code runs unchanged.
 *
 *     cc -O2 -shared -fPIC -o fakecam.so fakecam.c -ldl -lpthread
 *     FAKECAM_FRAMES=DIR LD_PRELOAD=./fakecam.so program
 *
 * Cameras that the machine really has are hidden. What the fake one is and does:
 *
 *     FAKECAM_FRAMES=DIR        its pictures: DIR/000, DIR/001, ... each the bytes of one buffer.
 *                               They are played round and round. Without it there is no camera.
 *     FAKECAM_FORMAT=MJPG       how they are coded: MJPG, YUYV, NV12, RGB3, BGR3 or GREY
 *     FAKECAM_SIZE=640x480
 *     FAKECAM_FPS=30            frames a second, as N or N/D
 *     FAKECAM_INDEX=0           the N of its /dev/videoN
 *     FAKECAM_METADATA=1        a node with the next lower or higher number, without pictures
 *     FAKECAM_OPEN_ERROR=13     opening it fails with this error number
 *     FAKECAM_BUSY=1            another program is streaming from it
 *     FAKECAM_LEFT_AT=YU12      the format in which another program left it
 *     FAKECAM_LEFT_FPS=25/2     the rate at which another program left it
 *     FAKECAM_CORRUPT_EVERY=N   each Nth picture is damaged
 *     FAKECAM_GARBAGE_AFTER=N   each picture after N is damaged
 *     FAKECAM_STALL_AFTER=N     no more pictures after N
 *     FAKECAM_SLOW_AFTER=N      after N pictures only every fourth comes, as from a camera in a dim room
 *     FAKECAM_EIO_AFTER=N       after N pictures input/output errors until it is started again
 *     FAKECAM_UNPLUG_AFTER=N    it is gone after N pictures
 *     FAKECAM_REPLUG_MS=N       and back after so many milliseconds, for good
 *     FAKECAM_CLOCK_BACK_AFTER=N  after N pictures somebody sets the time of day an hour back
 *
 * A program that asks for a socket that leads off the machine is ended: nothing watched leaves it.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/videodev2.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { MAX_BUFFERS = 8, MAX_FRAMES = 1000, MAX_FDS = 16 };

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

struct payload {
    unsigned char *bytes;
    size_t length;
};

struct buffer {
    unsigned char *bytes;
    size_t used;
    struct timeval captured;
    unsigned sequence;
};

/* A first-in, first-out list of buffer numbers. */
struct fifo {
    int items[MAX_BUFFERS];
    int count;
};

/* What the environment says. */
static struct {
    uint32_t fourcc, left_fourcc;
    unsigned width, height;
    struct v4l2_fract interval, left_interval;
    int index, metadata, open_error, busy;
    long corrupt_every, garbage_after, stall_after, slow_after, eio_after, unplug_after, replug_ms, clock_back_after;
    struct payload frames[MAX_FRAMES];
    int frame_count;
    size_t buffer_size;
} config;

static pthread_once_t configured = PTHREAD_ONCE_INIT;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

/* Everything below is guarded by `lock`. A descriptor of the camera is an event counter that is
 * readable while there is a filled buffer, so that the program can poll it. */
static int fds[MAX_FDS];
static int fd_count;
static int streaming_fd = -1;
static pthread_t producer;
static struct buffer buffers[MAX_BUFFERS];
static int buffer_count;
static struct fifo empty, filled;
static int io_error, gone, was_unplugged;
static struct timespec unplugged_at;
static DIR *dev_dir;
static int dev_entry;

/* Read without the lock, by whoever asks for the time. */
static atomic_int clock_is_back;

static int fail(int error)
{
    errno = error;
    return -1;
}

static long number(const char *name, long otherwise)
{
    const char *value = getenv(name);
    return value ? atol(value) : otherwise;
}

static uint32_t fourcc(const char *name, uint32_t otherwise)
{
    const char *value = getenv(name);
    return value && strlen(value) == 4 ? v4l2_fourcc(value[0], value[1], value[2], value[3]) : otherwise;
}

/* Frames a second as N or N/D, turned into the interval between two frames. */
static struct v4l2_fract interval(const char *name, struct v4l2_fract otherwise)
{
    const char *value = getenv(name);
    unsigned n = 0, d = 1;
    if (!value || sscanf(value, "%u/%u", &n, &d) < 1 || n == 0 || d == 0)
        return otherwise;
    return (struct v4l2_fract){.numerator = d, .denominator = n};
}

static int load_frame(const char *dir, int at)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%03d", dir, at);
    FILE *file = fopen(path, "rb");
    if (!file)
        return 0;
    fseek(file, 0, SEEK_END);
    size_t length = ftell(file);
    rewind(file);
    struct payload *frame = &config.frames[at];
    frame->bytes = malloc(length ? length : 1);
    frame->length = fread(frame->bytes, 1, length, file);
    fclose(file);
    return 1;
}

static void configure(void)
{
    config.fourcc = fourcc("FAKECAM_FORMAT", V4L2_PIX_FMT_MJPEG);
    config.left_fourcc = fourcc("FAKECAM_LEFT_AT", config.fourcc);
    config.interval = interval("FAKECAM_FPS", (struct v4l2_fract){1, 30});
    config.left_interval = interval("FAKECAM_LEFT_FPS", config.interval);
    config.width = 640;
    config.height = 480;
    if (getenv("FAKECAM_SIZE"))
        sscanf(getenv("FAKECAM_SIZE"), "%ux%u", &config.width, &config.height);
    config.index = number("FAKECAM_INDEX", 0);
    config.metadata = number("FAKECAM_METADATA", 0);
    config.open_error = number("FAKECAM_OPEN_ERROR", 0);
    config.busy = number("FAKECAM_BUSY", 0);
    config.corrupt_every = number("FAKECAM_CORRUPT_EVERY", 0);
    config.garbage_after = number("FAKECAM_GARBAGE_AFTER", -1);
    config.stall_after = number("FAKECAM_STALL_AFTER", -1);
    config.slow_after = number("FAKECAM_SLOW_AFTER", -1);
    config.eio_after = number("FAKECAM_EIO_AFTER", -1);
    config.unplug_after = number("FAKECAM_UNPLUG_AFTER", -1);
    config.replug_ms = number("FAKECAM_REPLUG_MS", -1);
    config.clock_back_after = number("FAKECAM_CLOCK_BACK_AFTER", -1);
    const char *dir = getenv("FAKECAM_FRAMES");
    while (dir && config.frame_count < MAX_FRAMES && load_frame(dir, config.frame_count))
        config.frame_count++;
    config.buffer_size = (size_t)config.width * config.height * 3;
}

/* The nodes that /dev shows, in turn; 0 after the last. */
static int node_name(int at, char *name, size_t size)
{
    int metadata = config.metadata && config.index > 0 ? config.index - 1 : config.index + 1;
    if (at > config.metadata || !config.frame_count || gone)
        return 0;
    snprintf(name, size, "video%d", at == 0 ? config.index : metadata);
    return 1;
}

static void push(struct fifo *fifo, int item)
{
    fifo->items[fifo->count++] = item;
}

static int pop(struct fifo *fifo)
{
    int item = fifo->items[0];
    memmove(fifo->items, fifo->items + 1, --fifo->count * sizeof *fifo->items);
    return item;
}

static void wake(int fd)
{
    uint64_t one = 1;
    if (REAL(write)(fd, &one, sizeof one) < 0)
        perror("fakecam");
}

static void come_back_if_due(void)
{
    if (!gone || config.replug_ms < 0)
        return;
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    long elapsed = (now.tv_sec - unplugged_at.tv_sec) * 1000 + (now.tv_nsec - unplugged_at.tv_nsec) / 1000000;
    if (elapsed >= config.replug_ms)
        gone = 0;
}

static void damage(struct buffer *buffer)
{
    for (size_t at = buffer->used / 3; at < buffer->used; at += 37)
        buffer->bytes[at] ^= 0x5a;
    memset(buffer->bytes + buffer->used / 2, 0xff, buffer->used / 4);
}

/* One frame's worth of the camera's life; 0 when that ends. */
static int produce(long sequence, struct timespec now)
{
    if (config.stall_after >= 0 && sequence >= config.stall_after)
        return 1;
    if (config.slow_after >= 0 && sequence >= config.slow_after && sequence % 4)
        return 1;
    if (config.unplug_after >= 0 && sequence >= config.unplug_after && !was_unplugged) {
        gone = was_unplugged = 1;
        unplugged_at = now;
        wake(streaming_fd);
        return 0;
    }
    if (config.eio_after >= 0 && sequence >= config.eio_after && !io_error) {
        io_error = 1;
        config.eio_after = -1;
        wake(streaming_fd);
        return 0;
    }
    if (config.clock_back_after >= 0 && sequence >= config.clock_back_after)
        clock_is_back = 1;
    if (empty.count == 0)
        return 1; /* nobody gave a buffer back: the picture is lost */
    int at = pop(&empty);
    struct buffer *buffer = &buffers[at];
    struct payload *frame = &config.frames[sequence % config.frame_count];
    buffer->used = frame->length < config.buffer_size ? frame->length : config.buffer_size;
    memcpy(buffer->bytes, frame->bytes, buffer->used);
    int due = config.corrupt_every && sequence % config.corrupt_every == config.corrupt_every - 1;
    if (due || (config.garbage_after >= 0 && sequence >= config.garbage_after))
        damage(buffer);
    buffer->captured = (struct timeval){now.tv_sec, now.tv_nsec / 1000};
    buffer->sequence = sequence;
    push(&filled, at);
    wake(streaming_fd);
    return 1;
}

static void *run_camera(void *unused)
{
    (void)unused;
    struct timespec next;
    clock_gettime(CLOCK_MONOTONIC, &next);
    long step = 1000000000L * config.interval.numerator / config.interval.denominator;
    int alive = 1;
    for (long sequence = 0; alive; sequence++) {
        next.tv_nsec += step;
        next.tv_sec += next.tv_nsec / 1000000000L;
        next.tv_nsec %= 1000000000L;
        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &next, NULL);
        pthread_mutex_lock(&lock);
        alive = streaming_fd >= 0 && produce(sequence, next);
        pthread_mutex_unlock(&lock);
    }
    return NULL;
}

/* Called with the lock held; gives it up while it waits for the camera to stop. */
static void stop_streaming(void)
{
    if (streaming_fd < 0)
        return;
    streaming_fd = -1;
    pthread_mutex_unlock(&lock);
    pthread_join(producer, NULL);
    pthread_mutex_lock(&lock);
    empty.count = filled.count = io_error = 0;
}

static void fill_pix_format(struct v4l2_pix_format *pix, uint32_t code)
{
    memset(pix, 0, sizeof *pix);
    pix->width = config.width;
    pix->height = config.height;
    pix->pixelformat = code;
    pix->field = V4L2_FIELD_NONE;
    pix->sizeimage = config.buffer_size;
    pix->colorspace = V4L2_COLORSPACE_SRGB;
}

static int query_capabilities(struct v4l2_capability *capability, int is_metadata)
{
    memset(capability, 0, sizeof *capability);
    strcpy((char *)capability->driver, "fakecam");
    strcpy((char *)capability->card, "Fake camera");
    strcpy((char *)capability->bus_info, "preload");
    uint32_t kind = is_metadata ? V4L2_CAP_META_CAPTURE : V4L2_CAP_VIDEO_CAPTURE;
    capability->device_caps = kind | V4L2_CAP_STREAMING;
    capability->capabilities = V4L2_CAP_VIDEO_CAPTURE | V4L2_CAP_META_CAPTURE | V4L2_CAP_STREAMING | V4L2_CAP_DEVICE_CAPS;
    return 0;
}

static int dequeue(int fd, struct v4l2_buffer *to)
{
    uint64_t events;
    pthread_mutex_unlock(&lock);
    ssize_t got = REAL(read)(fd, &events, sizeof events);
    pthread_mutex_lock(&lock);
    if (gone)
        return fail(ENODEV);
    if (io_error)
        return fail(EIO);
    if (got < 0 || filled.count == 0)
        return fail(EAGAIN);
    int at = pop(&filled);
    to->index = at;
    to->bytesused = buffers[at].used;
    to->length = config.buffer_size;
    to->timestamp = buffers[at].captured;
    to->sequence = buffers[at].sequence;
    to->flags = V4L2_BUF_FLAG_TIMESTAMP_MONOTONIC;
    to->field = V4L2_FIELD_NONE;
    return 0;
}

/* The requests that a camera answers. Called with the lock held. */
static int camera_ioctl(int fd, unsigned long request, void *argument)
{
    if (gone)
        return fail(ENODEV);
    switch ((unsigned)request) {
    case VIDIOC_QUERYCAP:
        return query_capabilities(argument, 0);
    case VIDIOC_ENUM_FMT: {
        struct v4l2_fmtdesc *format = argument;
        if (format->index > 0 || format->type != V4L2_BUF_TYPE_VIDEO_CAPTURE)
            return fail(EINVAL);
        strcpy((char *)format->description, "what the test says");
        format->pixelformat = config.fourcc;
        return 0;
    }
    case VIDIOC_ENUM_FRAMESIZES: {
        struct v4l2_frmsizeenum *size = argument;
        if (size->index > 0 || size->pixel_format != config.fourcc)
            return fail(EINVAL);
        size->type = V4L2_FRMSIZE_TYPE_DISCRETE;
        size->discrete.width = config.width;
        size->discrete.height = config.height;
        return 0;
    }
    case VIDIOC_ENUM_FRAMEINTERVALS: {
        struct v4l2_frmivalenum *rate = argument;
        if (rate->index > 0 || rate->pixel_format != config.fourcc)
            return fail(EINVAL);
        rate->type = V4L2_FRMIVAL_TYPE_DISCRETE;
        rate->discrete = config.interval;
        return 0;
    }
    case VIDIOC_G_FMT:
        fill_pix_format(&((struct v4l2_format *)argument)->fmt.pix, config.left_fourcc);
        return 0;
    case VIDIOC_S_FMT:
        if (config.busy)
            return fail(EBUSY);
        config.left_fourcc = config.fourcc;
        fill_pix_format(&((struct v4l2_format *)argument)->fmt.pix, config.fourcc);
        return 0;
    case VIDIOC_G_PARM:
    case VIDIOC_S_PARM: {
        struct v4l2_streamparm *parameters = argument;
        if ((unsigned)request == VIDIOC_S_PARM)
            config.left_interval = config.interval;
        memset(&parameters->parm, 0, sizeof parameters->parm);
        parameters->parm.capture.capability = V4L2_CAP_TIMEPERFRAME;
        parameters->parm.capture.timeperframe = config.left_interval;
        return 0;
    }
    case VIDIOC_REQBUFS: {
        struct v4l2_requestbuffers *wanted = argument;
        if (config.busy || (streaming_fd >= 0 && streaming_fd != fd))
            return fail(EBUSY);
        if (wanted->count > MAX_BUFFERS)
            wanted->count = MAX_BUFFERS;
        buffer_count = wanted->count;
        return 0;
    }
    case VIDIOC_QUERYBUF: {
        struct v4l2_buffer *buffer = argument;
        if ((int)buffer->index >= buffer_count)
            return fail(EINVAL);
        buffer->length = config.buffer_size;
        buffer->m.offset = buffer->index * config.buffer_size;
        return 0;
    }
    case VIDIOC_QBUF: {
        int at = ((struct v4l2_buffer *)argument)->index;
        if (at < 0 || at >= buffer_count || empty.count == MAX_BUFFERS)
            return fail(EINVAL);
        push(&empty, at);
        return 0;
    }
    case VIDIOC_DQBUF:
        return dequeue(fd, argument);
    case VIDIOC_STREAMON:
        streaming_fd = fd;
        return pthread_create(&producer, NULL, run_camera, NULL) ? fail(EIO) : 0;
    case VIDIOC_STREAMOFF:
        stop_streaming();
        return 0;
    default:
        return fail(ENOTTY);
    }
}

/* Whether a descriptor is the camera's (1) or the metadata node's (2). Both are event counters;
 * the metadata node's is kept as its negative. */
static int kind_of(int fd)
{
    for (int at = 0; at < fd_count; at++) {
        if (fds[at] == fd)
            return 1;
        if (fds[at] == -fd)
            return 2;
    }
    return 0;
}

static int handled_ioctl(int fd, unsigned long request, void *argument, int *result)
{
    pthread_mutex_lock(&lock);
    int kind = fd > 0 ? kind_of(fd) : 0;
    if (kind == 1)
        *result = camera_ioctl(fd, request, argument);
    else if (kind == 2 && (unsigned)request == VIDIOC_QUERYCAP)
        *result = query_capabilities(argument, 1);
    else if (kind == 2)
        *result = fail(ENOTTY);
    pthread_mutex_unlock(&lock);
    return kind != 0;
}

static int open_camera(int at, int flags)
{
    come_back_if_due();
    if (gone)
        return fail(ENOENT);
    if (config.open_error)
        return fail(config.open_error);
    if (fd_count == MAX_FDS)
        return fail(EMFILE);
    int blocking = flags & O_NONBLOCK ? EFD_NONBLOCK : 0;
    int fd = eventfd(0, EFD_SEMAPHORE | EFD_CLOEXEC | blocking);
    fds[fd_count++] = at == 0 ? fd : -fd;
    return fd;
}

static int handled_open(const char *path, int flags, int *result)
{
    if (strncmp(path, "/dev/video", 10) != 0)
        return 0;
    pthread_once(&configured, configure);
    pthread_mutex_lock(&lock);
    *result = fail(ENOENT);
    char name[32];
    for (int at = 0; node_name(at, name, sizeof name); at++)
        if (strcmp(path + 5, name) == 0)
            *result = open_camera(at, flags);
    pthread_mutex_unlock(&lock);
    return 1;
}

/* The C library's own functions, which the program calls. */

int open(const char *path, int flags, ...)
{
    va_list rest;
    va_start(rest, flags);
    mode_t mode = va_arg(rest, mode_t);
    va_end(rest);
    int result;
    return handled_open(path, flags, &result) ? result : REAL(open)(path, flags, mode);
}

int open64(const char *path, int flags, ...)
{
    va_list rest;
    va_start(rest, flags);
    mode_t mode = va_arg(rest, mode_t);
    va_end(rest);
    int result;
    return handled_open(path, flags, &result) ? result : REAL(open64)(path, flags, mode);
}

int close(int fd)
{
    pthread_mutex_lock(&lock);
    if (fd > 0 && fd == streaming_fd)
        stop_streaming();
    for (int at = 0; at < fd_count; at++)
        if (fds[at] == fd || fds[at] == -fd)
            fds[at] = fds[--fd_count];
    pthread_mutex_unlock(&lock);
    return REAL(close)(fd);
}

int ioctl(int fd, unsigned long request, ...)
{
    va_list rest;
    va_start(rest, request);
    void *argument = va_arg(rest, void *);
    va_end(rest);
    int result;
    return handled_ioctl(fd, request, argument, &result) ? result : REAL(ioctl)(fd, request, argument);
}

long syscall(long id, ...)
{
    long arguments[6];
    va_list rest;
    va_start(rest, id);
    for (int at = 0; at < 6; at++)
        arguments[at] = va_arg(rest, long);
    va_end(rest);
    int result;
    if (id == SYS_ioctl && handled_ioctl(arguments[0], arguments[1], (void *)arguments[2], &result))
        return result;
    return REAL(syscall)(id, arguments[0], arguments[1], arguments[2], arguments[3], arguments[4], arguments[5]);
}

int clock_gettime(clockid_t clock, struct timespec *now)
{
    static int (*real)(clockid_t, struct timespec *);
    if (!real)
        real = REAL(clock_gettime);
    int result = real(clock, now);
    if (clock == CLOCK_REALTIME && clock_is_back)
        now->tv_sec -= 3600;
    return result;
}

int socket(int domain, int type, int protocol)
{
    if (domain != AF_UNIX) {
        fprintf(stderr, "fakecam: a socket of family %d was asked for\n", domain);
        abort();
    }
    return REAL(socket)(domain, type, protocol);
}

static void *map_buffer(size_t length, off_t offset)
{
    void *bytes = REAL(mmap)(NULL, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    buffers[offset / config.buffer_size % MAX_BUFFERS].bytes = bytes;
    return bytes;
}

static int is_camera(int fd)
{
    if (fd <= 0)
        return 0;
    pthread_mutex_lock(&lock);
    int kind = kind_of(fd);
    pthread_mutex_unlock(&lock);
    return kind == 1;
}

void *mmap(void *start, size_t length, int protection, int flags, int fd, off_t offset)
{
    if (is_camera(fd))
        return map_buffer(length, offset);
    return REAL(mmap)(start, length, protection, flags, fd, offset);
}

void *mmap64(void *start, size_t length, int protection, int flags, int fd, off_t offset)
{
    if (is_camera(fd))
        return map_buffer(length, offset);
    return REAL(mmap64)(start, length, protection, flags, fd, offset);
}

DIR *opendir(const char *path)
{
    DIR *dir = REAL(opendir)(path);
    if (dir && strcmp(path, "/dev") == 0) {
        pthread_once(&configured, configure);
        pthread_mutex_lock(&lock);
        come_back_if_due();
        dev_dir = dir;
        dev_entry = 0;
        pthread_mutex_unlock(&lock);
    }
    return dir;
}

int closedir(DIR *dir)
{
    if (dir == dev_dir)
        dev_dir = NULL;
    return REAL(closedir)(dir);
}

struct dirent64 *readdir64(DIR *dir)
{
    static struct dirent64 fake;
    for (;;) {
        struct dirent64 *entry = REAL(readdir64)(dir);
        if (dir != dev_dir)
            return entry;
        if (entry && strncmp(entry->d_name, "video", 5) == 0)
            continue;
        if (entry)
            return entry;
        pthread_mutex_lock(&lock);
        int more = node_name(dev_entry++, fake.d_name, sizeof fake.d_name);
        pthread_mutex_unlock(&lock);
        fake.d_type = DT_CHR;
        fake.d_reclen = sizeof fake;
        fake.d_ino = 1;
        return more ? &fake : NULL;
    }
}
