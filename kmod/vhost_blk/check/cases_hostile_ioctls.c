// SPDX-License-Identifier: GPL-2.0-only
/* ioctls that ask for what can not be: each must be refused, with an errno that fits, and leave a device that works. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "expect.h"
#include "hostile.h"
#include "suite.h"

static int set_num(const struct guest *guest, unsigned queue, unsigned num)
{
	struct vhost_vring_state state = { queue, num };

	return ioctl(guest->vhost, VHOST_SET_VRING_NUM, &state);
}

static int set_file(const struct guest *guest, unsigned long request, unsigned queue, int fd)
{
	struct vhost_vring_file file = { queue, fd };

	return ioctl(guest->vhost, request, &file);
}

static void run_owner(const struct disk *disk, const struct check_case *self)
{
	struct guest guest = { .vhost = open(VHOST_BLK_DEVICE, O_RDWR | O_CLOEXEC) };

	(void)self;
	if (guest.vhost < 0)
		fail_errno("can not open " VHOST_BLK_DEVICE);
	expect_errno("SET_VRING_NUM before SET_OWNER", set_num(&guest, 0, 256), EPERM);
	expect_errno("SET_BACKEND before SET_OWNER", guest_set_backend(&guest, 0, disk->fd), EPERM);
	if (ioctl(guest.vhost, VHOST_SET_OWNER))
		fail_errno("VHOST_SET_OWNER");
	expect_errno("second SET_OWNER", ioctl(guest.vhost, VHOST_SET_OWNER), EBUSY);
	expect_errno("unknown ioctl", ioctl(guest.vhost, _IO(VHOST_VIRTIO, 0xee)), ENOTTY);
	expect_errno("ioctl with a bad address", ioctl(guest.vhost, VHOST_SET_VRING_NUM, (void *)8), EFAULT);
	close(guest.vhost);
	hostile_expect_good_device(disk);
}

static void run_ring_setup(const struct disk *disk, const struct check_case *self)
{
	static const unsigned bad_nums[] = { 0, 3, 255, 65536, 0x80000000u, 0xffffffffu };
	struct vhost_vring_addr bad;
	struct guest guest;

	(void)self;
	guest_create(&guest, &(struct guest_options){ 0 });
	for (unsigned i = 0; i < sizeof(bad_nums) / sizeof(bad_nums[0]); i++)
		expect_errno("bad SET_VRING_NUM", set_num(&guest, 0, bad_nums[i]), EINVAL);
	expect_errno("SET_VRING_NUM of queue 4096", set_num(&guest, 4096, 256), ENOBUFS);
	expect_errno("SET_VRING_NUM of queue 2^32-1", set_num(&guest, VHOST_BLK_ALL_VQS, 256), ENOBUFS);
	expect_errno("SET_VRING_BASE 65536",
		       ioctl(guest.vhost, VHOST_SET_VRING_BASE, &(struct vhost_vring_state){ 0, 65536 }), EINVAL);
	bad = (struct vhost_vring_addr){ .desc_user_addr = (uintptr_t)guest.ring[0].desc,
					 .avail_user_addr = (uintptr_t)guest.ring[0].avail,
					 .used_user_addr = (uintptr_t)guest.ring[0].used + 2 };
	expect_errno("misaligned used ring", ioctl(guest.vhost, VHOST_SET_VRING_ADDR, &bad), EINVAL);
	bad.used_user_addr -= 2;
	bad.avail_user_addr++;
	expect_errno("misaligned avail ring", ioctl(guest.vhost, VHOST_SET_VRING_ADDR, &bad), EINVAL);
	bad.avail_user_addr--;
	/* A kernel address may be refused now or when the queue starts, but must be refused. */
	bad.desc_user_addr = 0xffff888000000000ull;
	if (!ioctl(guest.vhost, VHOST_SET_VRING_ADDR, &bad))
		expect_errno("start with a ring at a kernel address", guest_set_backend(&guest, 0, disk->fd), EFAULT);
	guest_close(&guest);
	hostile_expect_good_device(disk);
}

static void run_not_set_up(const struct disk *disk, const struct check_case *self)
{
	struct guest guest;

	(void)self;
	guest_open(&guest);
	expect_errno("SET_BACKEND without rings", guest_set_backend(&guest, 0, disk->fd), EINVAL);
	expect_errno("SET_BACKEND of queue 4096", guest_set_backend(&guest, 4096, disk->fd), ENOBUFS);
	guest_close(&guest);
	hostile_expect_good_device(disk);
}

static void run_backends(const struct disk *disk, const struct check_case *self)
{
	int pipes[2], sockets[2];
	struct guest guest;

	(void)self;
	if (pipe2(pipes, O_CLOEXEC) || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets))
		fail_errno("pipe or socketpair");
	guest_create(&guest, &(struct guest_options){ 0 });
	expect_errno("backend: fd 9999", guest_set_backend(&guest, 0, 9999), EBADF);
	expect_errno("backend: fd -2", guest_set_backend(&guest, 0, -2), EBADF);
	expect_errno("backend: pipe", guest_set_backend(&guest, 0, pipes[0]), ENOTBLK);
	expect_errno("backend: socket", guest_set_backend(&guest, 0, sockets[0]), ENOTBLK);
	expect_errno("backend: folder", guest_set_backend(&guest, 0, open("/", O_RDONLY | O_DIRECTORY)), ENOTBLK);
	expect_errno("backend: eventfd", guest_set_backend(&guest, 0, guest.ring[0].kick), ENOTBLK);
	expect_errno("backend: the device itself", guest_set_backend(&guest, 0, guest.vhost), ENOTBLK);
	expect_errno("backend: /dev/null", guest_set_backend(&guest, 0, open("/dev/null", O_RDWR)), ENOTBLK);
	expect_errno("backend: O_PATH", guest_set_backend(&guest, 0, open(disk->path, O_PATH)), EBADF);
	guest_attach(&guest, disk->fd);
	guest_close(&guest);
	hostile_expect_good_device(disk);
}

static void run_eventfds(const struct disk *disk, const struct check_case *self)
{
	static const unsigned long requests[] = { VHOST_SET_VRING_KICK, VHOST_SET_VRING_CALL, VHOST_SET_VRING_ERR };
	struct guest guest;

	(void)self;
	guest_create(&guest, &(struct guest_options){ 0 });
	for (unsigned i = 0; i < 3; i++) {
		expect_errno("eventfd: the device itself", set_file(&guest, requests[i], 0, guest.vhost), EINVAL);
		expect_errno("eventfd: a disk", set_file(&guest, requests[i], 0, disk->fd), EINVAL);
		expect_errno("eventfd: fd 9999", set_file(&guest, requests[i], 0, 9999), EBADF);
		expect_errno("eventfd of queue 4096", set_file(&guest, requests[i], 4096, guest.ring[0].kick), ENOBUFS);
	}
	/* The same eventfd for kick and call: the device wakes itself, which may cost time but no more than that. */
	if (set_file(&guest, VHOST_SET_VRING_CALL, 0, guest.ring[0].kick))
		fail_errno("VHOST_SET_VRING_CALL with the kick eventfd");
	guest_attach(&guest, disk->fd);
	for (unsigned i = 0; i < 3; i++)
		ring_kick_always(&guest.ring[0]);
	guest_detach(&guest);
	guest_close(&guest);
	hostile_expect_good_device(disk);
}

static int set_table(const struct guest *guest, unsigned nregions, const struct vhost_memory_region *region)
{
	struct { struct vhost_memory head; char room[sizeof(*region)]; } table = { 0 };

	table.head.nregions = nregions;
	memcpy(table.room, region, sizeof(*region));
	return ioctl(guest->vhost, VHOST_SET_MEM_TABLE, &table);
}

static void run_tables(const struct disk *disk, const struct check_case *self)
{
	struct vhost_memory_region good, bad;
	struct guest guest;

	(void)self;
	guest_create(&guest, &(struct guest_options){ 0 });
	good = (struct vhost_memory_region){ DATA_GPA, DATA_BYTES, (uintptr_t)guest.memory.region[1].hva, 0 };
	expect_errno("2^32-1 regions", set_table(&guest, 0xffffffffu, &good), E2BIG);
	expect_errno("65536 regions", set_table(&guest, 65536, &good), E2BIG);
	bad = good;
	bad.memory_size = UINT64_MAX - 4095;
	expect_errno("region that wraps", set_table(&guest, 1, &bad), EINVAL);
	bad = good;
	bad.userspace_addr = 0xffff888000000000ull;
	expect_errno("region at a kernel address", set_table(&guest, 1, &bad), EFAULT);
	guest_attach(&guest, disk->fd);
	guest_close(&guest);
	hostile_expect_good_device(disk);
}

static void run_features(const struct disk *disk, const struct check_case *self)
{
	uint64_t offered, unknown;
	struct guest guest;

	(void)self;
	guest_open(&guest);
	if (ioctl(guest.vhost, VHOST_GET_FEATURES, &offered))
		fail_errno("VHOST_GET_FEATURES");
	for (unsigned bit = 0; bit < 64; bit++) {
		unknown = 1ull << bit;
		if (!(offered & unknown))
			expect_errno("feature that is not offered", ioctl(guest.vhost, VHOST_SET_FEATURES, &unknown), EOPNOTSUPP);
	}
	guest_close(&guest);
	hostile_expect_good_device(disk);
}

static void run_while_running(const struct disk *disk, const struct check_case *self)
{
	struct request request;
	struct guest guest;

	(void)self;
	guest_create(&guest, &(struct guest_options){ 0 });
	guest_attach(&guest, disk->fd);
	expect_errno("second SET_BACKEND", guest_set_backend(&guest, 0, disk->fd), EBUSY);
	expect_errno("SET_VRING_NUM while running", set_num(&guest, 0, 128), EBUSY);
	expect_errno("SET_VRING_BASE while running",
		       ioctl(guest.vhost, VHOST_SET_VRING_BASE, &(struct vhost_vring_state){ 0, 3 }), EBUSY);
	request_build(&request, &guest.memory, &(struct request_shape){ .type = VIRTIO_BLK_T_IN, .bytes = 4096 });
	request_run(&request, &guest, 0);
	request_expect(&request, VIRTIO_BLK_S_OK);
	guest_close(&guest);
}

void suite_add_hostile_ioctls(struct suite *suite)
{
	suite_add(suite, GROUP_HOSTILE, run_owner, "ioctl: without owner, unknown, bad address");
	suite_add(suite, GROUP_HOSTILE, run_ring_setup, "ioctl: ring sizes, bases, addresses");
	suite_add(suite, GROUP_HOSTILE, run_not_set_up, "ioctl: start without rings");
	suite_add(suite, GROUP_HOSTILE, run_backends, "ioctl: backends that are no disk");
	suite_add(suite, GROUP_HOSTILE, run_eventfds, "ioctl: eventfds that are none");
	suite_add(suite, GROUP_HOSTILE, run_tables, "ioctl: memory tables");
	suite_add(suite, GROUP_HOSTILE, run_features, "ioctl: features not offered");
	suite_add(suite, GROUP_HOSTILE | GROUP_QUICK, run_while_running, "ioctl: changes while running are EBUSY");
}
