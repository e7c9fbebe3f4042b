// SPDX-License-Identifier: GPL-2.0-only
/* The kernel's vhost-scsi with the device behind its iblock backend, driven by the same guest with SCSI commands. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/vhost.h>
#include <linux/virtio_config.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client.h"
#include "engine.h"
#include "report.h"

#define TARGET "/sys/kernel/config/target"
#define DISK TARGET "/core/iblock_0/vhost-blk-bench"
#define WWN "naa.5001405bec4b1c00"
#define FABRIC TARGET "/vhost"
#define PORTAL FABRIC "/" WWN "/tpgt_1"
#define LUN PORTAL "/lun/lun_0"
#define DISK_LINK LUN "/disk"
/* Virtqueues 0 and 1 are those of control and events. */
#define FIRST_REQUEST_QUEUE 2u

struct vhost_scsi {
	int fd;
	struct memory memory;
	struct ring ring[FIRST_REQUEST_QUEUE + MAX_QUEUES];
	struct client client[MAX_QUEUES];
};

static const char *const folders[] = {
	TARGET "/core/iblock_0", DISK, FABRIC, FABRIC "/" WWN, PORTAL, LUN,
};

#define FOLDERS (sizeof(folders) / sizeof(folders[0]))

static void remove_target(void)
{
	unlink(DISK_LINK);
	for (unsigned i = FOLDERS; i--;)
		rmdir(folders[i]);
}

static void write_setting(const char *path, const char *value)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, value, strlen(value)) != (ssize_t)strlen(value))
		fail_errno("can not write '%s' to %s", value, path);
	close(fd);
}

static void make_target(const struct job *job)
{
	char path[300];

	remove_target();
	for (unsigned i = 0; i < FOLDERS; i++)
		if (mkdir(folders[i], 0755) && errno != EEXIST)
			fail_errno("can not make %s", folders[i]);
	snprintf(path, sizeof(path), "udev_path=%s", job->device);
	write_setting(DISK "/control", path);
	write_setting(DISK "/enable", "1");
	if (symlink(DISK, DISK_LINK))
		fail_errno("can not make %s", DISK_LINK);
	write_setting(PORTAL "/nexus", WWN);
}

static void attach(const struct vhost_scsi *own, unsigned long request)
{
	struct vhost_scsi_target target = { .vhost_wwpn = WWN, .vhost_tpgt = 1 };

	if (ioctl(own->fd, VHOST_SCSI_GET_ABI_VERSION, &target.abi_version) || ioctl(own->fd, request, &target))
		fail_errno("vhost-scsi: the endpoint can not be set or cleared");
}

static void *vhost_scsi_open(const struct job *job)
{
	uint64_t features = 1ull << VIRTIO_F_VERSION_1 | 1ull << VIRTIO_RING_F_INDIRECT_DESC;
	struct vhost_scsi *own = calloc(1, sizeof(*own));

	if (!own)
		fail("out of memory");
	if (!job->no_event_idx)
		features |= 1ull << VIRTIO_RING_F_EVENT_IDX;
	if (access(TARGET "/core", F_OK))
		skip("no " TARGET "/core: target_core_mod is not loaded, or configfs not mounted");
	own->fd = open("/dev/vhost-scsi", O_RDWR | O_CLOEXEC);
	if (own->fd < 0)
		skip("no /dev/vhost-scsi");
	make_target(job);
	if (ioctl(own->fd, VHOST_SET_OWNER) || ioctl(own->fd, VHOST_SET_FEATURES, &features))
		fail_errno("vhost-scsi: owner or features can not be set");
	memory_create(&own->memory);
	if (memory_register(&own->memory, own->fd))
		fail_errno("VHOST_SET_MEM_TABLE");
	for (unsigned i = 0; i < FIRST_REQUEST_QUEUE + job->queues; i++) {
		ring_create(&own->ring[i], &own->memory, i, client_ring_num(job), 0, !job->no_event_idx);
		if (ring_register(&own->ring[i], own->fd))
			fail_errno("vhost-scsi: queue %u can not be set up", i);
	}
	for (unsigned i = 0; i < job->queues; i++)
		client_create(&own->client[i], CLIENT_SCSI, job, &own->memory, &own->ring[FIRST_REQUEST_QUEUE + i]);
	attach(own, VHOST_SCSI_SET_ENDPOINT);
	return own;
}

static void vhost_scsi_run(struct lane *lane)
{
	struct vhost_scsi *own = lane->state;

	client_run(&own->client[lane->index], lane);
}

static void vhost_scsi_close(void *state)
{
	struct vhost_scsi *own = state;

	attach(own, VHOST_SCSI_CLEAR_ENDPOINT);
	close(own->fd);
	remove_target();
	memory_destroy(&own->memory);
	free(own);
}

const struct engine engine_vhost_scsi = {
	"vhost-scsi", "the kernel's own vhost-scsi on the device, driven by the same guest", vhost_scsi_open,
	vhost_scsi_run, vhost_scsi_close,
};
