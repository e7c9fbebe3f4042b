// SPDX-License-Identifier: GPL-2.0-only
#include "features.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/vhost.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "guest.h"
#include "report.h"

#define PARAMETERS "/sys/module/vhost_blk/parameters"

/* Bits of the specification that older headers do not name. */
enum { RING_PACKED = 34, IN_ORDER = 35, RING_RESET = 40, SECURE_ERASE = 16 };

static const struct {
	unsigned bit;
	const char *name;
} names[] = {
	{ VIRTIO_BLK_F_SIZE_MAX, "VIRTIO_BLK_F_SIZE_MAX" },
	{ VIRTIO_BLK_F_SEG_MAX, "VIRTIO_BLK_F_SEG_MAX" },
	{ VIRTIO_BLK_F_RO, "VIRTIO_BLK_F_RO" },
	{ VIRTIO_BLK_F_BLK_SIZE, "VIRTIO_BLK_F_BLK_SIZE" },
	{ VIRTIO_BLK_F_FLUSH, "VIRTIO_BLK_F_FLUSH" },
	{ VIRTIO_BLK_F_TOPOLOGY, "VIRTIO_BLK_F_TOPOLOGY" },
	{ VIRTIO_BLK_F_CONFIG_WCE, "VIRTIO_BLK_F_CONFIG_WCE" },
	{ VIRTIO_BLK_F_MQ, "VIRTIO_BLK_F_MQ" },
	{ VIRTIO_BLK_F_DISCARD, "VIRTIO_BLK_F_DISCARD" },
	{ VIRTIO_BLK_F_WRITE_ZEROES, "VIRTIO_BLK_F_WRITE_ZEROES" },
	{ SECURE_ERASE, "VIRTIO_BLK_F_SECURE_ERASE" },
	{ VIRTIO_F_NOTIFY_ON_EMPTY, "VIRTIO_F_NOTIFY_ON_EMPTY" },
	{ VHOST_F_LOG_ALL, "VHOST_F_LOG_ALL" },
	{ VIRTIO_F_ANY_LAYOUT, "VIRTIO_F_ANY_LAYOUT" },
	{ VIRTIO_RING_F_INDIRECT_DESC, "VIRTIO_RING_F_INDIRECT_DESC" },
	{ VIRTIO_RING_F_EVENT_IDX, "VIRTIO_RING_F_EVENT_IDX" },
	{ VIRTIO_F_VERSION_1, "VIRTIO_F_VERSION_1" },
	{ 33, "VIRTIO_F_ACCESS_PLATFORM" },
	{ RING_PACKED, "VIRTIO_F_RING_PACKED" },
	{ IN_ORDER, "VIRTIO_F_IN_ORDER" },
	{ RING_RESET, "VIRTIO_F_RING_RESET" },
};

static const char *name_of(unsigned bit)
{
	for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (names[i].bit == bit)
			return names[i].name;
	return "(no name known)";
}

static void print_features(const char *indent, uint64_t features)
{
	for (unsigned bit = 0; bit < 64; bit++)
		if (features >> bit & 1)
			printf("%sbit %2u  %s\n", indent, bit, name_of(bit));
}

/* ENOTTY from a module that has no such call; any other answer is one of the call. */
static bool has(int vhost, unsigned long request, void *argument)
{
	return ioctl(vhost, request, argument) == 0 || errno != ENOTTY;
}

static void print_calls(int vhost)
{
	struct vhost_worker_state worker = { 0 };
	struct vhost_vring_state busy = { 0, 0 };
	struct vhost_blk_serial serial = { { 0 } };
	uint64_t backend = 0;
	int none = -1, one = 1;
	const struct {
		const char *name;
		unsigned long request;
		void *argument;
	} calls[] = {
		{ "workers: VHOST_NEW_WORKER and so on", VHOST_NEW_WORKER, &worker },
		{ "workers: VHOST_SET_NWORKERS", VHOST_SET_NWORKERS, &one },
		{ "busy polling: VHOST_SET_VRING_BUSYLOOP_TIMEOUT", VHOST_SET_VRING_BUSYLOOP_TIMEOUT, &busy },
		{ "backend features: VHOST_GET_BACKEND_FEATURES", VHOST_GET_BACKEND_FEATURES, &backend },
		{ "dirty log: VHOST_SET_LOG_FD", VHOST_SET_LOG_FD, &none },
		{ "serial: VHOST_BLK_SET_SERIAL", VHOST_BLK_SET_SERIAL, &serial },
		{ "resize: VHOST_BLK_SET_CONFIG_CALL", VHOST_BLK_SET_CONFIG_CALL, &none },
		{ "write cache: VHOST_BLK_SET_WRITE_CACHE", VHOST_BLK_SET_WRITE_CACHE, &one },
	};

	printf("calls\n");
	for (unsigned i = 0; i < sizeof(calls) / sizeof(calls[0]); i++)
		printf("  %-52s %s\n", calls[i].name, has(vhost, calls[i].request, calls[i].argument) ? "yes" : "no");
}

static void print_limits(const struct vhost_blk_limits *limits)
{
	const struct {
		const char *name;
		uint64_t value;
	} rows[] = {
		{ "capacity in sectors", limits->capacity },
		{ "logical block size", limits->logical_block_size },
		{ "physical block size", limits->physical_block_size },
		{ "alignment offset", limits->alignment_offset },
		{ "minimum I/O size", limits->min_io_size },
		{ "optimal I/O size", limits->opt_io_size },
		{ "segments of a request", limits->max_segments },
		{ "bytes of a request", limits->max_request_bytes },
		{ "virtqueues", limits->max_vqs },
		{ "entries of a virtqueue", limits->max_vring_num },
		{ "discard: sectors of a segment", limits->max_discard_sectors },
		{ "discard: segments", limits->max_discard_seg },
		{ "discard: alignment in sectors", limits->discard_sector_alignment },
		{ "write zeroes: sectors of a segment", limits->max_write_zeroes_sectors },
		{ "write zeroes: segments", limits->max_write_zeroes_seg },
		{ "secure erase: sectors of a segment", limits->max_secure_erase_sectors },
		{ "secure erase: segments", limits->max_secure_erase_seg },
		{ "secure erase: alignment in sectors", limits->secure_erase_sector_alignment },
	};

	printf("  features %#llx\n", (unsigned long long)limits->features);
	print_features("    ", limits->features);
	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		printf("  %-36s %llu\n", rows[i].name, (unsigned long long)rows[i].value);
	printf("  flags%s%s%s%s\n", limits->flags & VHOST_BLK_LIMIT_READ_ONLY ? " read-only" : "",
	       limits->flags & VHOST_BLK_LIMIT_WRITE_CACHE ? " write-cache" : "",
	       limits->flags & VHOST_BLK_LIMIT_FILE ? " file" : "",
	       limits->flags & VHOST_BLK_LIMIT_WZ_MAY_UNMAP ? " zeroing-may-unmap" : "");
}

/* The limits with one backend. */
static void print_backend(const struct guest *guest, const char *path)
{
	struct vhost_blk_limits limits;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		fail_errno("can not open %s", path);
	guest_limits(guest, fd, &limits);
	if (limits.capacity) {
		printf("limits with %s\n", path);
		print_limits(&limits);
	} else {
		printf("limits: the module does not tell (no VHOST_BLK_GET_LIMITS)\n");
	}
	close(fd);
}

static int visible(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

static void print_parameters(void)
{
	struct dirent **entries = NULL;
	int count = scandir(PARAMETERS, &entries, visible, alphasort);

	printf("module parameters%s\n", count > 0 ? "" : " (none)");
	for (int i = 0; i < count; i++) {
		char path[sizeof(PARAMETERS) + 1 + sizeof(entries[i]->d_name)], value[64] = "";
		FILE *file;

		snprintf(path, sizeof(path), PARAMETERS "/%s", entries[i]->d_name);
		file = fopen(path, "re");
		if (!file || !fgets(value, sizeof(value), file))
			snprintf(value, sizeof(value), "(can not be read)");
		if (file)
			fclose(file);
		value[strcspn(value, "\n")] = '\0';
		printf("  %-36s %s\n", entries[i]->d_name, value);
		free(entries[i]);
	}
	free(entries);
}

void features_print(const char *device)
{
	struct guest guest;
	uint64_t offered;

	guest_open(&guest);
	if (ioctl(guest.vhost, VHOST_GET_FEATURES, &offered))
		fail_errno("VHOST_GET_FEATURES");
	printf("features %#llx\n", (unsigned long long)offered);
	print_features("  ", offered);
	printf("always\n  %-36s %u\n  %-36s %u\n  %-36s %u\n", "virtqueues", VHOST_BLK_MAX_VQS,
	       "entries of a virtqueue", VHOST_BLK_MAX_VRING_NUM, "descriptors of a chain", VHOST_BLK_MAX_CHAIN);
	print_calls(guest.vhost);
	print_parameters();
	if (device)
		print_backend(&guest, device);
	close(guest.vhost);
}
