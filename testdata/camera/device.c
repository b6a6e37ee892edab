// A video device for tests, loaded into a process with LD_PRELOAD: the file named by CAMERA_DEVICE becomes a camera.
//   CAMERA_FORMATS  "Y16 :160x120,160x122;YUYV:160x120": like uvcvideo, it answers with the size nearest to the one wanted
//   CAMERA_LISTS    "sizes" (each one), "range" (smallest and largest with steps; it is set to the first) or "nothing"
//   CAMERA_FRAMES   a file of pictures in the mode that is chosen, played over and over
//   CAMERA_PADDING  bytes behind each row
//   CAMERA_RATE     frames a second
//   CAMERA_BUSY     set where another program streams from it
//   CAMERA_HANGS    the call that never returns: "open", "list" or "stream"
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <linux/videodev2.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

enum { MODES = 32, BUFFERS = 4, HANDLES = 64, BUFFER_SPACING = 1 << 24 };

static struct { uint32_t code; unsigned width, height; } modes[MODES];
static int mode_count, mode; // mode is the one that is set
static char is_open[HANDLES]; // by file descriptor
static uint8_t *buffers[BUFFERS];
static int queue[BUFFERS], queued;
static FILE *frames;

static const char *setting(const char *name, const char *otherwise) {
	const char *value = getenv(name);
	return value ? value : otherwise;
}

static void hang(const char *where) {
	while (!strcmp(setting("CAMERA_HANGS", ""), where))
		pause();
}

static int padding(void) { return atoi(setting("CAMERA_PADDING", "0")); }
static unsigned row_bytes(int m) { return 2 * modes[m].width + padding(); }
static unsigned picture_bytes(int m) { return row_bytes(m) * modes[m].height; }

__attribute__((constructor)) static void read_settings(void) {
	char *text = strdup(setting("CAMERA_FORMATS", "")), *formats, *sizes;
	for (char *f = strtok_r(text, ";", &formats); f; f = strtok_r(NULL, ";", &formats))
		for (char *s = strtok_r(f + 5, ",", &sizes); s && mode_count < MODES; s = strtok_r(NULL, ",", &sizes)) {
			memcpy(&modes[mode_count].code, f, 4);
			sscanf(s, "%ux%u", &modes[mode_count].width, &modes[mode_count].height);
			mode_count++;
		}
	free(text);
}

static int nearest(uint32_t code, unsigned width, unsigned height) {
	int known = 0, best = 0;
	uint64_t least = UINT64_MAX;
	for (int m = 0; m < mode_count; m++)
		known |= modes[m].code == code;
	if (!known)
		code = modes[0].code;
	for (int m = 0; m < mode_count; m++) {
		uint64_t w = modes[m].width, h = modes[m].height;
		uint64_t apart = w * h + (uint64_t)width * height - 2 * (w < width ? w : width) * (h < height ? h : height);
		if (modes[m].code == code && apart < least) {
			least = apart;
			best = m;
		}
	}
	return best;
}

static void describe(struct v4l2_pix_format *pix, int m) {
	memset(pix, 0, sizeof *pix);
	pix->pixelformat = modes[m].code;
	pix->width = modes[m].width;
	pix->height = modes[m].height;
	pix->field = V4L2_FIELD_NONE;
	pix->bytesperline = row_bytes(m);
	pix->sizeimage = picture_bytes(m);
}

static void next_picture(uint8_t *into) {
	for (unsigned y = 0; y < modes[mode].height; y++) {
		memset(into + y * row_bytes(mode), 0xee, row_bytes(mode));
		if (frames && fread(into + y * row_bytes(mode), 1, 2 * modes[mode].width, frames) != 2 * modes[mode].width) {
			rewind(frames);
			y = -1;
		}
	}
}

static void set_timer(int fd, double rate) {
	struct itimerspec timer = {0};
	if (rate > 0) {
		timer.it_interval.tv_nsec = 1e9 / rate - 1;
		timer.it_value = timer.it_interval;
	}
	timerfd_settime(fd, 0, &timer, NULL);
}

static int fail(int why) {
	errno = why;
	return -1;
}

static int list_format(struct v4l2_fmtdesc *d) {
	unsigned found = 0;
	for (int m = 0; m < mode_count; m++)
		if ((m == 0 || modes[m].code != modes[m - 1].code) && found++ == d->index) {
			d->pixelformat = modes[m].code;
			return 0;
		}
	return fail(EINVAL);
}

static int list_size(struct v4l2_frmsizeenum *e) {
	unsigned found = 0, range = !strcmp(setting("CAMERA_LISTS", ""), "range");
	struct v4l2_frmsize_stepwise all = {.min_width = -1, .min_height = -1, .step_width = 2, .step_height = 2};
	for (int m = 0; m < mode_count; m++) {
		unsigned w = modes[m].width, h = modes[m].height;
		if (modes[m].code != e->pixel_format)
			continue;
		if (!range && found == e->index) {
			e->type = V4L2_FRMSIZE_TYPE_DISCRETE;
			e->discrete.width = w;
			e->discrete.height = h;
			return 0;
		}
		found++;
		all.min_width = w < all.min_width ? w : all.min_width;
		all.max_width = w > all.max_width ? w : all.max_width;
		all.min_height = h < all.min_height ? h : all.min_height;
		all.max_height = h > all.max_height ? h : all.max_height;
	}
	if (!range || e->index > 0 || found == 0)
		return fail(EINVAL);
	e->type = V4L2_FRMSIZE_TYPE_STEPWISE;
	e->stepwise = all;
	return 0;
}

static int dequeue(int fd, struct v4l2_buffer *b) {
	uint64_t ticks;
	if (queued == 0 || read(fd, &ticks, sizeof ticks) != sizeof ticks)
		return fail(EAGAIN);
	b->index = queue[0];
	memmove(queue, queue + 1, --queued * sizeof *queue);
	next_picture(buffers[b->index]);
	b->bytesused = b->length = picture_bytes(mode);
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	b->timestamp.tv_sec = now.tv_sec;
	b->timestamp.tv_usec = now.tv_nsec / 1000;
	return 0;
}

static int answer(int fd, unsigned long request, void *argument) {
	int lists = strcmp(setting("CAMERA_LISTS", "sizes"), "nothing"), busy = getenv("CAMERA_BUSY") != NULL;
	switch (request) {
	case VIDIOC_QUERYCAP: {
		struct v4l2_capability *c = argument;
		memset(c, 0, sizeof *c);
		strcpy((char *)c->driver, "uvcvideo");
		strcpy((char *)c->card, setting("CAMERA_NAME", "a camera for tests"));
		c->device_caps = V4L2_CAP_VIDEO_CAPTURE | V4L2_CAP_STREAMING;
		c->capabilities = c->device_caps | V4L2_CAP_DEVICE_CAPS;
		return 0;
	}
	case VIDIOC_ENUM_FMT:
		hang("list");
		return lists ? list_format(argument) : fail(EINVAL);
	case VIDIOC_ENUM_FRAMESIZES:
		return lists ? list_size(argument) : fail(ENOTTY);
	case VIDIOC_G_FMT:
		describe(&((struct v4l2_format *)argument)->fmt.pix, mode);
		return 0;
	case VIDIOC_TRY_FMT:
	case VIDIOC_S_FMT: {
		struct v4l2_pix_format *pix = &((struct v4l2_format *)argument)->fmt.pix;
		if (!lists && request == VIDIOC_TRY_FMT)
			return fail(ENOTTY);
		if (busy && request == VIDIOC_S_FMT)
			return fail(EBUSY);
		int m = nearest(pix->pixelformat, pix->width, pix->height);
		if (request == VIDIOC_S_FMT)
			mode = m;
		describe(pix, m);
		return 0;
	}
	case VIDIOC_G_PARM:
	case VIDIOC_S_PARM: {
		struct v4l2_captureparm *c = &((struct v4l2_streamparm *)argument)->parm.capture;
		c->capability = V4L2_CAP_TIMEPERFRAME;
		c->timeperframe.numerator = 1;
		c->timeperframe.denominator = atoi(setting("CAMERA_RATE", "30"));
		return 0;
	}
	case VIDIOC_REQBUFS: {
		struct v4l2_requestbuffers *r = argument;
		if (r->count > BUFFERS)
			r->count = BUFFERS;
		for (unsigned i = 0; i < r->count; i++)
			buffers[i] = realloc(buffers[i], picture_bytes(mode));
		queued = 0;
		return 0;
	}
	case VIDIOC_QUERYBUF: {
		struct v4l2_buffer *b = argument;
		b->length = picture_bytes(mode);
		b->m.offset = b->index * BUFFER_SPACING;
		return 0;
	}
	case VIDIOC_QBUF:
		queue[queued++] = ((struct v4l2_buffer *)argument)->index;
		return 0;
	case VIDIOC_DQBUF:
		return dequeue(fd, argument);
	case VIDIOC_STREAMON:
		hang("stream");
		if (!frames && getenv("CAMERA_FRAMES"))
			frames = fopen(getenv("CAMERA_FRAMES"), "rb");
		set_timer(fd, atof(setting("CAMERA_RATE", "30")));
		return 0;
	case VIDIOC_STREAMOFF:
		set_timer(fd, 0);
		queued = 0;
		return 0;
	}
	return fail(ENOTTY);
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static int ours(int fd) { return fd >= 0 && fd < HANDLES && is_open[fd]; }

static int open_ours(const char *path) {
	if (strcmp(path, setting("CAMERA_DEVICE", "")))
		return -1;
	hang("open");
	int fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	if (fd >= 0 && fd < HANDLES)
		is_open[fd] = 1;
	return fd;
}

int open(const char *path, int flags, ...) {
	va_list more;
	va_start(more, flags);
	int permissions = va_arg(more, int), fd = open_ours(path);
	va_end(more);
	return fd >= 0 ? fd : REAL(open)(path, flags, permissions);
}

int open64(const char *path, int flags, ...) {
	va_list more;
	va_start(more, flags);
	int permissions = va_arg(more, int), fd = open_ours(path);
	va_end(more);
	return fd >= 0 ? fd : REAL(open64)(path, flags, permissions);
}

int close(int fd) {
	if (ours(fd))
		is_open[fd] = 0;
	return REAL(close)(fd);
}

int ioctl(int fd, unsigned long request, ...) {
	va_list more;
	va_start(more, request);
	void *argument = va_arg(more, void *);
	va_end(more);
	return ours(fd) ? answer(fd, (uint32_t)request, argument) : REAL(ioctl)(fd, request, argument);
}

void *mmap(void *at, size_t length, int protection, int flags, int fd, off_t offset) {
	return ours(fd) ? buffers[offset / BUFFER_SPACING] : REAL(mmap)(at, length, protection, flags, fd, offset);
}

void *mmap64(void *at, size_t length, int protection, int flags, int fd, off64_t offset) {
	return mmap(at, length, protection, flags, fd, offset);
}

int munmap(void *at, size_t length) {
	for (int i = 0; i < BUFFERS; i++)
		if (at && at == buffers[i])
			return 0;
	return REAL(munmap)(at, length);
}
