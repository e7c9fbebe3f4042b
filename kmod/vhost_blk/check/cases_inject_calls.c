// SPDX-License-Identifier: GPL-2.0-only
/*
 * Calls in which allocations and copies fail on purpose, at each place in turn: a call either fails with the errno that fits
 * and can be made again, or goes on without what it could not have.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/vhost.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "hostile.h"
#include "inject.h"
#include "iommu.h"
#include "suite.h"

/* Calls with many chances of a fault have some hundred; one that never ends is wrong. */
#define MOST_CHANCES 5000u

struct scene {
	const struct disk *disk;
	struct guest guest;
	struct vhost_worker_state worker;
	int log_event, config_call;
	uint8_t *log;
};

#define LOG_BYTES ((NEXT_GPA + NEXT_BYTES) / 4096 / 8)

static int open_device(struct scene *scene)
{
	scene->guest.vhost = open(VHOST_BLK_DEVICE, O_RDWR | O_CLOEXEC);
	return scene->guest.vhost < 0 ? -1 : 0;
}

static int close_device(struct scene *scene)
{
	return close(scene->guest.vhost);
}

static int set_owner(struct scene *scene)
{
	return ioctl(scene->guest.vhost, VHOST_SET_OWNER);
}

static int reset_owner(struct scene *scene)
{
	return ioctl(scene->guest.vhost, VHOST_RESET_OWNER);
}

static int get_features(struct scene *scene)
{
	uint64_t offered;

	return ioctl(scene->guest.vhost, VHOST_GET_FEATURES, &offered);
}

static int set_features(struct scene *scene)
{
	return ioctl(scene->guest.vhost, VHOST_SET_FEATURES, &scene->guest.features);
}

static int set_memory(struct scene *scene)
{
	return memory_register(&scene->guest.memory, scene->guest.vhost);
}

static int set_state(struct scene *scene, unsigned long call, unsigned value)
{
	return ioctl(scene->guest.vhost, call, &(struct vhost_vring_state){ 0, value });
}

static int set_num(struct scene *scene)
{
	return set_state(scene, VHOST_SET_VRING_NUM, scene->guest.ring[0].num);
}

static int set_base(struct scene *scene)
{
	return set_state(scene, VHOST_SET_VRING_BASE, scene->guest.ring[0].last_used);
}

static int set_busyloop(struct scene *scene)
{
	return set_state(scene, VHOST_SET_VRING_BUSYLOOP_TIMEOUT, 0);
}

static int get_busyloop(struct scene *scene)
{
	return set_state(scene, VHOST_GET_VRING_BUSYLOOP_TIMEOUT, 0);
}

/* Stops the queue, which stays stopped when the answer can not be told. */
static int get_base(struct scene *scene)
{
	struct vhost_vring_state state = { 0, 0 };

	if (ioctl(scene->guest.vhost, VHOST_GET_VRING_BASE, &state))
		return -1;
	if (state.num != scene->guest.ring[0].last_used)
		fail("expected base %u, saw %u", scene->guest.ring[0].last_used, state.num);
	return 0;
}

static int set_addresses(struct scene *scene)
{
	return ring_register_addresses(&scene->guest.ring[0], scene->guest.vhost);
}

static int set_file(struct scene *scene, unsigned long call, int fd)
{
	return ioctl(scene->guest.vhost, call, &(struct vhost_vring_file){ 0, fd });
}

static int set_kick(struct scene *scene)
{
	return set_file(scene, VHOST_SET_VRING_KICK, scene->guest.ring[0].kick);
}

static int set_call(struct scene *scene)
{
	return set_file(scene, VHOST_SET_VRING_CALL, scene->guest.ring[0].call);
}

static int set_error(struct scene *scene)
{
	return set_file(scene, VHOST_SET_VRING_ERR, scene->guest.ring[0].error);
}

static int set_log_base(struct scene *scene)
{
	uint64_t base = (uintptr_t)scene->log;

	return ioctl(scene->guest.vhost, VHOST_SET_LOG_BASE, &base);
}

static int set_log_event(struct scene *scene)
{
	return ioctl(scene->guest.vhost, VHOST_SET_LOG_FD, &scene->log_event);
}

static int set_serial(struct scene *scene)
{
	return ioctl(scene->guest.vhost, VHOST_BLK_SET_SERIAL, &(struct vhost_blk_serial){ "under faults" });
}

static int set_config_call(struct scene *scene)
{
	return ioctl(scene->guest.vhost, VHOST_BLK_SET_CONFIG_CALL, &scene->config_call);
}

static int set_write_cache(struct scene *scene)
{
	int on = 1;

	return ioctl(scene->guest.vhost, VHOST_BLK_SET_WRITE_CACHE, &on);
}

static int set_workers(struct scene *scene)
{
	int workers = 3;

	return ioctl(scene->guest.vhost, VHOST_SET_NWORKERS, &workers);
}

static int new_worker(struct scene *scene)
{
	return ioctl(scene->guest.vhost, VHOST_NEW_WORKER, &scene->worker);
}

static int free_worker(struct scene *scene)
{
	return ioctl(scene->guest.vhost, VHOST_FREE_WORKER, &scene->worker);
}

static int attach_worker(struct scene *scene)
{
	return ioctl(scene->guest.vhost, VHOST_ATTACH_VRING_WORKER, &(struct vhost_vring_worker){ 0, 0 });
}

static int get_worker(struct scene *scene)
{
	return ioctl(scene->guest.vhost, VHOST_GET_VRING_WORKER, &(struct vhost_vring_worker){ 0, 0 });
}

static int get_limits_of(struct scene *scene, int fd)
{
	struct vhost_blk_limits limits = { .size = sizeof(limits), .fd = fd };

	return ioctl(scene->guest.vhost, VHOST_BLK_GET_LIMITS, &limits);
}

static int get_limits(struct scene *scene)
{
	return get_limits_of(scene, scene->disk->fd);
}

static int get_limits_attached(struct scene *scene)
{
	return get_limits_of(scene, -1);
}

static int attach(struct scene *scene)
{
	return guest_set_backend(&scene->guest, 0, scene->disk->fd);
}

static int detach(struct scene *scene)
{
	return guest_set_backend(&scene->guest, 0, -1);
}

static int set_backend_features(struct scene *scene)
{
	uint64_t features = 1ull << VHOST_BACKEND_F_IOTLB_MSG_V2;

	return ioctl(scene->guest.vhost, VHOST_SET_BACKEND_FEATURES, &features);
}

static int get_backend_features(struct scene *scene)
{
	uint64_t features;

	return ioctl(scene->guest.vhost, VHOST_GET_BACKEND_FEATURES, &features);
}

static int iotlb_message(struct scene *scene, uint8_t type)
{
	struct vhost_iotlb_msg message = {
		.iova = 0x7000000, .size = 4096, .uaddr = (uintptr_t)scene->log, .perm = VHOST_ACCESS_RW, .type = type,
	};

	return iommu_send(&scene->guest, VHOST_IOTLB_MSG_V2, &message) < 0 ? -1 : 0;
}

static int iotlb_update(struct scene *scene)
{
	return iotlb_message(scene, VHOST_IOTLB_UPDATE);
}

static int iotlb_invalidate(struct scene *scene)
{
	return iotlb_message(scene, VHOST_IOTLB_INVALIDATE);
}

struct step {
	const char *name;
	int (*call)(struct scene *scene);
	/* Takes back what a call has done that can not be done twice. */
	int (*undo)(struct scene *scene);
};

static const struct step open_steps[] = {
	{ "open", open_device, close_device },
	{ "VHOST_GET_FEATURES", get_features, NULL },
	{ "VHOST_SET_OWNER", set_owner, reset_owner },
};

static const struct step common_steps[] = {
	{ "VHOST_SET_FEATURES", set_features, NULL },
	{ "VHOST_SET_LOG_BASE", set_log_base, NULL },
	{ "VHOST_SET_LOG_FD", set_log_event, NULL },
	{ "VHOST_SET_MEM_TABLE", set_memory, NULL },
	{ "VHOST_SET_VRING_NUM", set_num, NULL },
	{ "VHOST_SET_VRING_BASE", set_base, NULL },
	{ "VHOST_SET_VRING_ADDR", set_addresses, NULL },
	{ "VHOST_SET_VRING_KICK", set_kick, NULL },
	{ "VHOST_SET_VRING_CALL", set_call, NULL },
	{ "VHOST_SET_VRING_ERR", set_error, NULL },
	{ "VHOST_SET_VRING_BUSYLOOP_TIMEOUT", set_busyloop, NULL },
	{ "VHOST_GET_VRING_BUSYLOOP_TIMEOUT", get_busyloop, NULL },
	{ "VHOST_BLK_SET_SERIAL", set_serial, NULL },
	{ "VHOST_BLK_SET_CONFIG_CALL", set_config_call, NULL },
	{ "VHOST_BLK_SET_WRITE_CACHE", set_write_cache, NULL },
	{ "VHOST_BLK_GET_LIMITS", get_limits, NULL },
};

/* Makes a worker, too. */
static const struct step start_steps[] = {
	{ "VHOST_BLK_SET_BACKEND", attach, detach },
};

static const struct step run_steps[] = {
	{ "VHOST_GET_VRING_WORKER", get_worker, NULL },
	{ "VHOST_SET_NWORKERS", set_workers, NULL },
	{ "VHOST_NEW_WORKER", new_worker, free_worker },
	{ "VHOST_ATTACH_VRING_WORKER", attach_worker, NULL },
	{ "VHOST_FREE_WORKER", free_worker, new_worker },
	{ "VHOST_BLK_GET_LIMITS of what is attached", get_limits_attached, NULL },
	{ "VHOST_SET_MEM_TABLE while running", set_memory, NULL },
	{ "VHOST_GET_VRING_BASE", get_base, NULL },
	{ "VHOST_BLK_SET_BACKEND again", attach, detach },
	{ "VHOST_BLK_SET_BACKEND -1", detach, NULL },
	{ "VHOST_RESET_OWNER", reset_owner, set_owner },
};

static const struct step iotlb_steps[] = {
	{ "VHOST_GET_BACKEND_FEATURES", get_backend_features, NULL },
	{ "VHOST_SET_BACKEND_FEATURES", set_backend_features, NULL },
	{ "VHOST_SET_FEATURES with an IOTLB", set_features, NULL },
	{ "update of the IOTLB", iotlb_update, NULL },
	{ "update of the IOTLB, the same again", iotlb_update, NULL },
	{ "invalidation in the IOTLB", iotlb_invalidate, NULL },
};

struct walk {
	enum inject_kind kind;
	/* Calls that failed, and that went on without what they could not have. */
	unsigned long failed, absorbed;
};

/* Each chance that a call has is taken once, from the first on, until it has no more. */
static void walk(struct walk *walk, struct scene *scene, const struct step *steps, unsigned count)
{
	int wanted = walk->kind == INJECT_COPIES ? EFAULT : ENOMEM;

	for (unsigned i = 0; i < count; i++) {
		const struct step *step = &steps[i];
		unsigned nth;

		for (nth = 1; nth < MOST_CHANCES; nth++) {
			int result, error;
			bool fault;

			at("%s, %s of number %u", step->name, inject_name(walk->kind), nth);
			inject_nth(nth);
			result = step->call(scene);
			error = errno;
			fault = inject_nth_stop();
			if (!fault && result)
				fail("without a fault: saw %s", strerror(error));
			if (!fault)
				break;
			if (result && error != wanted)
				fail("expected %s, saw %s", strerror(wanted), strerror(error));
			walk->failed += result != 0;
			walk->absorbed += result == 0;
			if (!result && step->undo && step->undo(scene))
				fail_errno("can not be undone");
		}
		if (nth == MOST_CHANCES)
			fail("still a fault");
	}
}

#define STEPS(steps) steps, sizeof(steps) / sizeof((steps)[0])

static void read_once(struct scene *scene)
{
	struct request request;

	request_build(&request, &scene->guest.memory, &(struct request_shape){ .type = VIRTIO_BLK_T_IN, .bytes = 4096 });
	request_run(&request, &scene->guest, 0);
	request_expect(&request, VIRTIO_BLK_S_OK);
	request_free(&request);
}

/* self->count: which kind */
static void run_calls(const struct disk *disk, const struct check_case *self)
{
	struct walk state = { .kind = self->count };
	struct scene scene = { .disk = disk };
	unsigned long faults;
	uint64_t features;

	inject_prepare(state.kind);
	scene.log_event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	scene.config_call = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	scene.log = aligned_alloc(4096, (LOG_BYTES + 4095) / 4096 * 4096);
	if (scene.log_event < 0 || scene.config_call < 0 || !scene.log)
		fail("out of memory");
	memset(scene.log, 0, LOG_BYTES);
	guest_create(&scene.guest, &(struct guest_options){ .event_idx = true });
	close(scene.guest.vhost);
	features = scene.guest.features;
	walk(&state, &scene, STEPS(open_steps));
	scene.guest.features = features | ACCESS_PLATFORM;
	walk(&state, &scene, STEPS(iotlb_steps));
	scene.guest.features = features | 1ull << VHOST_F_LOG_ALL;
	/* Logging needs its base, which is set behind the features first. */
	if (set_log_base(&scene))
		fail_errno("VHOST_SET_LOG_BASE");
	walk(&state, &scene, STEPS(common_steps));
	walk(&state, &scene, STEPS(start_steps));
	read_once(&scene);
	walk(&state, &scene, STEPS(run_steps));
	at("afterwards");
	faults = inject_stop(state.kind);
	if (!faults || faults != state.failed + state.absorbed)
		fail("expected %lu faults, saw %lu", state.failed + state.absorbed, faults);
	/* Where pages can not be had in one piece they are in several. */
	if (!state.failed && state.kind != INJECT_PAGES)
		fail("expected calls that fail, saw none");
	note("%lu calls failed as they should, %lu went on without", state.failed, state.absorbed);
	guest_close(&scene.guest);
	close(scene.log_event);
	close(scene.config_call);
	free(scene.log);
	hostile_expect_good_device(disk);
}

void suite_add_inject_calls(struct suite *suite)
{
	static const enum inject_kind kinds[] = { INJECT_SLAB, INJECT_PAGES, INJECT_COPIES };

	for (unsigned i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		suite_add(suite, GROUP_INJECT, run_calls, "inject: each call, %s", inject_name(kinds[i]))->count = kinds[i];
}
