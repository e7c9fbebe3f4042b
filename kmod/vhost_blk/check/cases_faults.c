// SPDX-License-Identifier: GPL-2.0-only
/* Disks that fail, change or go away while they are attached: the guest hears what they say, and all is answered. */
#include <errno.h>
#include <fcntl.h>
#include <linux/loop.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "hostile.h"
#include "mapper.h"
#include "suite.h"

#define BAD_SECTOR 8192u
#define BAD_SECTORS 64u
#define SALT 51u
#define IN_FLIGHT 48u
#define BYTES 65536u

static struct mapper_part part(const char *target, const struct disk *disk, uint64_t first, uint64_t sectors)
{
	struct mapper_part part = { .sectors = sectors, .target = target };

	if (strcmp(target, "error"))
		snprintf(part.parameters, sizeof(part.parameters), "%s %llu", disk->path, (unsigned long long)first);
	return part;
}

static uint8_t answer_of(struct guest *guest, const struct request_shape *shape, unsigned salt)
{
	struct request request;
	char *data = malloc(shape->bytes);

	if (!data)
		fail("out of memory");
	request_build(&request, &guest->memory, shape);
	pattern_fill(data, shape->bytes, shape->sector, salt);
	request_set_data(&request, &guest->memory, data, shape->bytes);
	request_run(&request, guest, 0);
	request_expect(&request, request.status);
	request_get_data(&request, &guest->memory, data, shape->bytes);
	if (request.status == VIRTIO_BLK_S_OK && shape->type == VIRTIO_BLK_T_IN)
		pattern_expect("data read", data, shape->bytes, shape->sector, SALT);
	request_free(&request);
	memory_data_reset(&guest->memory);
	free(data);
	return request.status;
}

/* Reads and writes of many lengths round the sectors that fail: an error for those that touch them, and only those. */
static void run_bad_sectors(const struct disk *unused, const struct check_case *self)
{
	static const uint32_t lengths[] = { 1, 8, 64, 200 };
	struct mapper_part parts[3];
	struct mapper mapper;
	struct guest guest;
	struct disk disk;
	unsigned errors = 0, good = 0;

	(void)unused;
	disk_scratch(&disk);
	parts[0] = part("linear", &disk, 0, BAD_SECTOR);
	parts[1] = part("error", &disk, 0, BAD_SECTORS);
	parts[2] = part("linear", &disk, BAD_SECTOR + BAD_SECTORS, disk.bytes / SECTOR - BAD_SECTOR - BAD_SECTORS);
	mapper_create(&mapper, "bad", parts, 3);
	guest_create(&guest, &self->options);
	guest_attach(&guest, mapper.fd);
	for (unsigned n = 0; n < 4 * 2; n++) {
		uint32_t length = lengths[n / 2];
		bool out = n % 2;

		int64_t step = length > 8 ? 7 : 1, last = BAD_SECTORS + 1;

		for (int64_t first = -(int64_t)length - 1; first <= last; first += step) {
			struct request_shape shape = {
				.type = out ? VIRTIO_BLK_T_OUT : VIRTIO_BLK_T_IN, .bytes = length * SECTOR,
				.sector = (uint64_t)(BAD_SECTOR + first), .misalign = first % 3 ? 0 : 3,
			};
			bool touches = first < (int64_t)BAD_SECTORS && first + (int64_t)length > 0;
			uint8_t wanted = touches ? VIRTIO_BLK_S_IOERR : VIRTIO_BLK_S_OK, status;

			at("%s of %u sectors at %lld from the bad ones", out ? "write" : "read", length,
			   (long long)first);
			disk_lay(&disk, shape.sector, shape.bytes, SALT);
			status = answer_of(&guest, &shape, SALT);
			if (status != wanted)
				fail("expected status %s, saw %s", request_status_name(wanted),
				     request_status_name(status));
			errors += touches;
			good += !touches;
		}
	}
	note("%u errors, %u good", errors, good);
	guest_close(&guest);
	mapper_remove(&mapper);
}

/* Requests of the same big buffer: only how they end matters. */
static void fill_queue(struct guest *guest, unsigned count)
{
	struct request request;

	request_build(&request, &guest->memory,
		      &(struct request_shape){ .type = VIRTIO_BLK_T_IN, .sector = BAD_SECTOR, .bytes = BYTES });
	for (unsigned i = 0; i < count; i++)
		request_add(&request, &guest->ring[0], &guest->memory);
	ring_kick(&guest->ring[0]);
	request_free(&request);
}

static void take_all(struct guest *guest)
{
	uint32_t len;

	while (ring_in_flight(&guest->ring[0])) {
		ring_wait(&guest->ring[0]);
		while (ring_pop(&guest->ring[0], &len))
			if (!len)
				fail("expected a used length above 0, saw 0");
	}
	memory_data_reset(&guest->memory);
}

static void expect_status(struct guest *guest, uint32_t type, uint8_t wanted, const char *when)
{
	struct request_shape shape = { .type = type, .sector = BAD_SECTOR, .bytes = 8192, .data_cuts = { 4096 } };
	uint8_t status;

	at("%s", when);
	status = answer_of(guest, &shape, SALT);
	if (status != wanted)
		fail("expected status %s, saw %s", request_status_name(wanted), request_status_name(status));
}

/* The whole disk turns into one that fails, with requests on their way and more behind, and back into a good one. */
static void run_swap(const struct disk *unused, const struct check_case *self)
{
	struct mapper_part good, bad;
	struct mapper mapper;
	struct guest guest;
	struct disk disk;

	(void)unused;
	disk_scratch(&disk);
	good = part("linear", &disk, 0, disk.bytes / SECTOR);
	bad = part("error", &disk, 0, disk.bytes / SECTOR);
	disk_lay(&disk, BAD_SECTOR, BYTES, SALT);
	mapper_create(&mapper, "swap", &good, 1);
	guest_create(&guest, &self->options);
	guest_attach(&guest, mapper.fd);
	for (unsigned i = 0; i < self->count; i++) {
		expect_status(&guest, VIRTIO_BLK_T_IN, VIRTIO_BLK_S_OK, "good table");
		fill_queue(&guest, IN_FLIGHT / 2);
		mapper_suspend(&mapper);
		/* These come to the new table. */
		fill_queue(&guest, IN_FLIGHT / 2);
		mapper_replace(&mapper, &bad, 1);
		mapper_resume(&mapper);
		take_all(&guest);
		expect_status(&guest, VIRTIO_BLK_T_IN, VIRTIO_BLK_S_IOERR, "error table");
		expect_status(&guest, VIRTIO_BLK_T_OUT, VIRTIO_BLK_S_IOERR, "error table");
		mapper_suspend(&mapper);
		mapper_replace(&mapper, &good, 1);
		mapper_resume(&mapper);
	}
	expect_status(&guest, VIRTIO_BLK_T_OUT, VIRTIO_BLK_S_OK, "good table again");
	guest_close(&guest);
	mapper_remove(&mapper);
}

static bool has_backing(const struct disk *disk)
{
	char path[64];

	snprintf(path, sizeof(path), "/sys/block/%s/loop/backing_file", strrchr(disk->path, '/') + 1);
	return !access(path, F_OK);
}

static void expect_no_backing(const struct disk *disk)
{
	for (unsigned waited = 0; has_backing(disk); waited++) {
		if (waited > HOSTILE_MS)
			fail("expected the loop device to go with its last user, saw it stay for %d s",
			     HOSTILE_MS / 1000);
		usleep(1000);
	}
}

/*
 * The loop device is told to let go of its file, with requests on their way. While somebody else has it open
 * (self->count) it stays until its last user, the virtqueue, has gone; else it is the kernel's choice to make it fail.
 */
static void run_loop_detached(const struct disk *unused, const struct check_case *self)
{
	struct request_shape shape = { .type = VIRTIO_BLK_T_IN, .sector = BAD_SECTOR, .bytes = BYTES };
	struct guest guest;
	struct disk disk;
	uint8_t status;
	int other = -1;

	(void)unused;
	disk_scratch(&disk);
	disk_lay(&disk, BAD_SECTOR, BYTES, SALT);
	if (self->count)
		other = disk_open(&disk, O_RDONLY);
	guest_create(&guest, &self->options);
	guest_attach(&guest, disk.fd);
	fill_queue(&guest, IN_FLIGHT);
	if (ioctl(disk.fd, LOOP_CLR_FD))
		fail_errno("LOOP_CLR_FD");
	close(disk.fd);
	take_all(&guest);
	status = answer_of(&guest, &shape, SALT);
	note("then %s", request_status_name(status));
	if (status != VIRTIO_BLK_S_OK && (self->count || status != VIRTIO_BLK_S_IOERR))
		fail("expected status OK, saw %s", request_status_name(status));
	guest_detach(&guest);
	close(other);
	expect_no_backing(&disk);
	guest_close(&guest);
}

#define NULLB "/sys/kernel/config/nullb"
#define NULLB_OWN NULLB "/vhost_blk_check"

static void set_null(const char *name, const char *value)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), NULLB_OWN "/%s", name);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, value, strlen(value)) != (ssize_t)strlen(value))
		fail_errno("can not set %s of a null_blk disk to %s", name, value);
	close(fd);
}

static void forget_null(void *unused)
{
	(void)unused;
	rmdir(NULLB_OWN);
}

static int open_null(void)
{
	char path[128], number[16] = "";
	ssize_t got = -1;
	int fd;

	snprintf(path, sizeof(path), NULLB_OWN "/index");
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0)
		got = read(fd, number, sizeof(number) - 1);
	close(fd);
	if (got <= 0)
		fail_errno("null_blk does not tell which disk is ours");
	/* Newer kernels name it by the folder, older ones by number. */
	fd = open("/dev/vhost_blk_check", O_RDWR | O_CLOEXEC);
	if (fd >= 0)
		return fd;
	snprintf(path, sizeof(path), "/dev/nullb%d", atoi(number));
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		fail_errno("can not open %s", path);
	return fd;
}

/* A disk is taken out of the machine with requests on their way: each is answered, and so is what comes behind. */
static void run_removed(const struct disk *unused, const struct check_case *self)
{
	static const struct { const char *name, *value; } settings[] = {
		{ "memory_backed", "1" }, { "size", "32" }, { "irqmode", "2" }, { "completion_nsec", "20000000" },
	};
	struct guest guest;
	int fd;

	(void)unused;
	if (access(NULLB, F_OK))
		skip("no " NULLB ": the module null_blk is not loaded, or configfs is not mounted");
	rmdir(NULLB_OWN);
	if (mkdir(NULLB_OWN, 0755))
		fail_errno("can not make a null_blk disk");
	at_end(forget_null, NULL);
	for (unsigned i = 0; i < sizeof(settings) / sizeof(settings[0]); i++)
		set_null(settings[i].name, settings[i].value);
	set_null("power", "1");
	fd = open_null();
	guest_create(&guest, &self->options);
	guest_attach(&guest, fd);
	fill_queue(&guest, IN_FLIGHT);
	set_null("power", "0");
	take_all(&guest);
	expect_status(&guest, VIRTIO_BLK_T_IN, VIRTIO_BLK_S_IOERR, "disk removed");
	expect_status(&guest, VIRTIO_BLK_T_OUT, VIRTIO_BLK_S_IOERR, "disk removed");
	guest_detach(&guest);
	close(fd);
	guest_close(&guest);
}

void suite_add_faults(struct suite *suite)
{
	unsigned first = suite->count;

	suite_add(suite, GROUP_LIFECYCLE, run_bad_sectors, "disk that fails for some sectors");
	suite_add(suite, GROUP_LIFECYCLE, run_swap, "disk swapped for one that fails, in flight")->count = 5;
	suite_add(suite, GROUP_LIFECYCLE, run_loop_detached, "loop device detached while attached");
	suite_add(suite, GROUP_LIFECYCLE, run_loop_detached, "loop device with two users detached while attached")
		->count = 1;
	suite_add(suite, GROUP_LIFECYCLE, run_removed, "disk removed with requests in flight");
	suite_set_row(suite, first, ROW_SAFETY);
}
