// SPDX-License-Identifier: GPL-2.0-only
/* One input: a virtqueue in the owner's memory, and what guest, disk and worker do with it, step by step. */
#include "target.h"

#include <stdio.h>

#include <linux/vhost_types.h>

#include "../device.h"
#include "../request.h"
#include "../vq.h"
#include "disk.h"
#include "input.h"
#include "model.h"
#include "owner.h"

/* As in turn.c. */
#define MAX_BYTES_IN_FLIGHT (64ULL << 20)

#define RANGE_FEATURES	(BIT_ULL(VIRTIO_BLK_F_DISCARD) | BIT_ULL(VIRTIO_BLK_F_WRITE_ZEROES) | \
			 BIT_ULL(VIRTIO_BLK_F_SECURE_ERASE))

static struct {
	const u8 *steps;
	size_t left;
	/* Allocations until the next that fails; 0: none does. */
	unsigned int until_no_memory;
	/* The same for accesses of a thread that kicks. */
	unsigned int until_not_there;
} script;

static struct vblk_dev device;
static struct vblk_vq vq;
static bool mutating;
/* Of each request in flight. */
static u64 writable[VHOST_BLK_MAX_VRING_NUM];

void fuzz_failed(const char *condition, const char *file, int line)
{
	fprintf(stderr, "%s:%d: not so: %s\n", file, line, condition);
	abort();
}

bool fuzz_no_memory(void)
{
	return script.until_no_memory && !--script.until_no_memory;
}

bool fuzz_not_there(void)
{
	return script.until_not_there && !--script.until_not_there;
}

int vblk_vq_broken(struct vblk_vq *queue, const char *reason)
{
	queue->vring.reason = reason;
	return -EPROTO;
}

void vblk_vq_done(struct vblk_vq *queue, struct llist_node *node)
{
	llist_add(node, &queue->done);
}

void vblk_vq_serial(const struct vblk_vq *queue, char *id)
{
	memset(id, 'i', VIRTIO_BLK_ID_BYTES);
}

static u8 next_byte(void)
{
	if (!script.left)
		return 0;
	script.left--;
	return *script.steps++;
}

static void store_byte(void)
{
	unsigned int offset = next_byte();

	offset |= next_byte() << 8;
	owner_memory[offset % OWNER_SIZE] = next_byte();
}

/* Another CPU of the guest, between any two accesses. */
static void mutate(void)
{
	if (script.left && next_byte() % 4 == 0)
		store_byte();
}

static void give_up(int ret)
{
	if (!ret)
		return;
	fuzz_assert(ret < 0 && vq.vring.reason);
	vq.broken = true;
}

/* One answer is one used element. */
static void check_answer(int ret, u16 head, u16 used_before, unsigned int answers)
{
	if (!ret)
		fuzz_assert((u16)(vq.vring.used_idx - used_before) == answers);
	if (!ret && answers && !mutating)
		model_check_answer(&vq.vring, head, writable[head]);
	give_up(ret);
}

static u64 writable_bytes(const struct vblk_chain *chain)
{
	unsigned int i;
	u64 sum = 0;

	for (i = 0; i < chain->writable; i++)
		sum += chain->seg[chain->readable + i].len;
	return sum;
}

static int next_chain(void)
{
	struct vblk_vring before;
	int ret = vblk_vring_available(&vq.vring);

	if (!ret) {
		ret = vblk_vring_want_kick(&vq.vring, true);
		if (!ret)
			ret = vblk_vring_available(&vq.vring);
	}
	if (ret <= 0)
		return ret;
	ret = vblk_vring_want_kick(&vq.vring, false);
	if (ret)
		return ret;
	before = vq.vring;
	ret = vblk_vring_take(&vq.vring, vq.mem, vq.chain);
	if (!mutating && !(vq.of_kicker && ret))
		model_check_chain(&before, vq.mem, vq.chain, ret);
	if (ret)
		return ret;
	fuzz_assert(vq.chain->head < vq.vring.num);
	fuzz_assert(vq.chain->readable + vq.chain->writable > 0);
	fuzz_assert(vq.chain->readable + vq.chain->writable <= VHOST_BLK_MAX_CHAIN);
	fuzz_assert((u16)(before.last_avail + 1) == vq.vring.last_avail);
	return 1;
}

/* Return: whether there may be more. */
static bool take(void)
{
	unsigned int in_flight = vq.in_flight;
	u16 used;
	int ret;

	if (vq.broken || vq.bytes_in_flight >= MAX_BYTES_IN_FLIGHT)
		return false;
	ret = next_chain();
	if (ret <= 0) {
		give_up(ret);
		return false;
	}
	used = vq.vring.used_idx;
	/* The same head again breaks the ring. */
	if (!vq.requests[vq.chain->head].in_flight)
		writable[vq.chain->head] = writable_bytes(vq.chain);
	ret = vblk_request_start(&vq, vq.chain);
	fuzz_assert(vq.in_flight == disk_waiting());
	fuzz_assert(!ret || vq.in_flight == in_flight);
	check_answer(ret, vq.chain->head, used, vq.in_flight == in_flight);
	return !ret;
}

static void end_one(unsigned int which, int error)
{
	struct vblk_request *request;
	unsigned int in_flight = vq.in_flight;
	u16 used = vq.vring.used_idx;
	int ret;

	disk_end(which, error);
	request = container_of(vq.done.first, struct vblk_request, done);
	vq.done.first = NULL;
	ret = vblk_request_finish(request);
	/* It may go on in another way instead. */
	check_answer(ret, request->head, used, in_flight - vq.in_flight);
	fuzz_assert(vq.in_flight == disk_waiting());
}

static void publish(void)
{
	int ret = vblk_vring_publish(&vq.vring);

	if (ret < 0)
		give_up(ret);
	else
		fuzz_assert(vq.vring.published == vq.vring.used_idx);
}

static void make_available(u8 count)
{
	u64 offset = vq.vring.addr[VBLK_AREA_AVAIL] + offsetof(struct vring_avail, idx) - OWNER_BASE;
	u16 idx;

	if (offset > OWNER_SIZE - sizeof(idx))
		return;
	memcpy(&idx, owner_memory + offset, sizeof(idx));
	idx = __cpu_to_virtio16(vq.vring.little_endian, __virtio16_to_cpu(vq.vring.little_endian, idx) + count);
	memcpy(owner_memory + offset, &idx, sizeof(idx));
}

static void drain(void)
{
	while (disk_waiting())
		end_one(disk_waiting() - 1, 0);
	publish();
	fuzz_assert(!vq.in_flight && !vq.bytes_in_flight);
}

static int end_error(u8 byte)
{
	return byte & 0x80 ? byte & 0x40 ? -EOPNOTSUPP : -EIO : 0;
}

/* The kicker has started one request, which ends at once: it answers it, or has done nothing of that. */
static void end_of_kicker(int error)
{
	u16 used = vq.vring.used_idx;
	struct vblk_request *request;
	int ret;

	disk_end(0, error);
	request = container_of(vq.done.first, struct vblk_request, done);
	vq.done.first = NULL;
	ret = vblk_request_finish(request);
	vq.of_kicker = false;
	script.until_not_there = 0;
	if (ret) {
		fuzz_assert(vq.in_flight == 1 && vq.vring.used_idx == used);
		ret = vblk_request_finish(request);
	}
	check_answer(ret, request->head, used, 1 - vq.in_flight);
	fuzz_assert(vq.in_flight == disk_waiting());
}

/* A turn of a kicker for one request. What fails has changed nothing, so that a worker can do it. */
static void kick(void)
{
	u16 last = vq.vring.last_avail, used = vq.vring.used_idx;
	unsigned int not_there = next_byte() % 32;
	int ret, error = end_error(next_byte());

	if (vq.broken || vq.in_flight || vq.log.all || vq.vring.log_used)
		return;
	vq.of_kicker = true;
	script.until_not_there = not_there;
	ret = next_chain();
	if (ret > 0) {
		writable[vq.chain->head] = writable_bytes(vq.chain);
		ret = vblk_request_start(&vq, vq.chain);
		fuzz_assert(vq.in_flight == !ret && vq.in_flight == disk_waiting() && vq.vring.used_idx == used);
		if (ret)
			vblk_vring_untake(&vq.vring);
		else
			last++;
	}
	fuzz_assert(vq.vring.last_avail == last);
	if (vq.in_flight)
		end_of_kicker(error);
	vq.of_kicker = false;
	script.until_not_there = 0;
}

static void step(void)
{
	u8 byte = next_byte();
	unsigned int count;

	switch (byte % 8) {
	case STEP_TAKE:
		take();
		break;
	case STEP_TAKE_MANY:
		for (count = next_byte(); count && take(); count--)
			;
		break;
	case STEP_END:
		if (disk_waiting())
			end_one(next_byte() % disk_waiting(), end_error(byte));
		break;
	case STEP_PUBLISH:
		publish();
		break;
	case STEP_AVAILABLE:
		make_available(next_byte());
		break;
	case STEP_STORE:
		store_byte();
		break;
	case STEP_KICK:
		kick();
		break;
	case STEP_RESTART:
		drain();
		vq.broken = vblk_vring_start(&vq.vring);
		break;
	}
}

/* Return: NULL where the owner's table is refused. */
static struct vblk_mem *create_mem(const struct input *input)
{
	struct {
		struct vhost_memory head;
		struct vhost_memory_region region[INPUT_MAX_REGIONS];
	} table = { .head.nregions = input->nr_regions % (INPUT_MAX_REGIONS + 1) };
	struct vblk_mem *mem;
	unsigned int i;

	for (i = 0; i < table.head.nregions; i++) {
		table.region[i].guest_phys_addr = input->region[i].gpa;
		table.region[i].memory_size = input->region[i].size;
		table.region[i].userspace_addr = OWNER_BASE + input->region[i].offset;
	}
	owner_set_argument(&table, sizeof(table));
	mem = vblk_mem_create((const struct vhost_memory *)OWNER_ARGUMENT);
	owner_set_argument(NULL, 0);
	if (IS_ERR(mem))
		mem = NULL;
	model_check_mem(table.region, table.head.nregions, mem);
	if (!mem)
		return NULL;
	for (i = 0; i < table.head.nregions; i++)
		owner_allow(table.region[i].userspace_addr, table.region[i].memory_size, true);
	return mem;
}

static void set_ring(const struct input *input)
{
	struct vblk_vring *vring = &vq.vring;

	memset(vring, 0, sizeof(*vring));
	vring->num = 1U << input->log_num % 11;
	/* As aligned as VHOST_SET_VRING_ADDR wants it. */
	vring->addr[VBLK_AREA_DESC] = OWNER_BASE + (input->desc & ~15);
	vring->addr[VBLK_AREA_AVAIL] = OWNER_BASE + (input->avail & ~1);
	vring->addr[VBLK_AREA_USED] = OWNER_BASE + (input->used & ~3);
	vring->placed = true;
	vring->log = &vq.log;
	vring->event_idx = input->flags & INPUT_EVENT_IDX;
	vring->indirect = input->flags & INPUT_INDIRECT;
	vring->little_endian = input->flags & INPUT_LITTLE_ENDIAN;
	vring->last_avail = input->last_avail;
	owner_allow(vring->addr[VBLK_AREA_DESC], 16 * vring->num, false);
	owner_allow(vring->addr[VBLK_AREA_AVAIL], 4 + 2 * (vring->num + 1), false);
	owner_allow(vring->addr[VBLK_AREA_USED], 4 + 8 * vring->num + 2, true);
}

/* The owner says where the log begins, and the guest's addresses how far it goes: up to the last of them. */
static void set_log(const struct input *input)
{
	struct vblk_log *log = &vq.log;
	size_t used = vblk_vring_used_bytes(&vq.vring);
	unsigned int i;

	log->based = input->flags & (INPUT_LOG | INPUT_LOG_USED);
	log->base = (void *)(OWNER_BASE + input->log);
	log->mem = vq.mem;
	log->all = input->flags & INPUT_LOG && !vblk_log_check_mem(log, vq.mem);
	vq.vring.log_gpa = input->log_gpa;
	vq.vring.log_used = input->flags & INPUT_LOG_USED && !vblk_log_check(log, input->log_gpa, used);
	for (i = 0; log->all && vq.mem && i < vq.mem->nr; i++)
		owner_allow((u64)log->base + (vq.mem->region[i].gpa >> 15), (vq.mem->region[i].size >> 15) + 2, true);
	if (vq.vring.log_used)
		owner_allow((u64)log->base + (input->log_gpa >> 15), (used >> 15) + 2, true);
}

static void run(const struct input *input)
{
	set_ring(input);
	set_log(input);
	disk_reset(512U << input->log_block % 4, input->sectors, &vq.backend);
	device.features = input->flags & INPUT_RANGES ? RANGE_FEATURES : 0;
	vq.dev = &device;
	vq.can_flush = input->flags & INPUT_CAN_FLUSH;
	vq.read_only = input->flags & INPUT_READ_ONLY;
	vq.requests = calloc(vq.vring.num, sizeof(*vq.requests));
	vq.chain = malloc(sizeof(*vq.chain));
	script.until_no_memory = input->no_memory;
	mutating = input->flags & INPUT_MUTATE;
	owner_hook = mutating ? mutate : NULL;
	vq.broken = vblk_vring_start(&vq.vring);
	while (script.left)
		step();
	drain();
	free(vq.requests);
	free(vq.chain);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	struct input input;

	if (size < sizeof(input))
		return 0;
	memcpy(&input, data, sizeof(input));
	data += sizeof(input);
	size -= sizeof(input);
	script.steps = data;
	script.left = min_t(size_t, size, input.nr_steps);
	script.until_no_memory = 0;
	script.until_not_there = 0;
	data += script.left;
	size -= script.left;
	owner_reset();
	memcpy(owner_memory, data, min_t(size_t, size, OWNER_SIZE));
	memset(&vq, 0, sizeof(vq));
	vq.mem = create_mem(&input);
	run(&input);
	kvfree(vq.mem);
	return 0;
}
