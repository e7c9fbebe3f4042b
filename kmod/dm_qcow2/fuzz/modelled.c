// SPDX-License-Identifier: GPL-2.0-only
/* A device with a model of what its disk has to hold, and what may be there after a loss of power. */
#include <sys/wait.h>

#include "modelled.h"

u64 modelled_state;

u32 modelled_draw(u32 below)
{
	modelled_state = modelled_state * 6364136223846793005ULL + 1442695040888963407ULL;
	return (modelled_state >> 33) % below;
}

struct modelled run;

void modelled_die(const char *what, u64 at)
{
	if (run.is_failing)
		return;
	fprintf(stderr, "%s at sector %llu\n", what, (unsigned long long)at / 512);
	exit(1);
}

unsigned int modelled_now(void)
{
	return disk_now();
}

static void note(u64 at, u64 bytes, unsigned int event)
{
	struct done *done = &run.done[run.nr_done++];

	*done = (struct done){ event, at, bytes, malloc(bytes) };
	memcpy(done->data, run.model + at, bytes);
}

void modelled_forget_done(void)
{
	while (run.nr_done)
		free(run.done[--run.nr_done].data);
	memcpy(run.flushed, run.model, run.size);
}

static void do_write(u64 at, u64 bytes)
{
	u64 i;

	for (i = 0; i < bytes; i += 8)
		*(u64 *)(run.model + at + i) = modelled_state + i * 0x9e3779b97f4a7c15ULL;
	/* Noted first: any part of it may be there after a loss of power. */
	note(at, bytes, modelled_now());
	if (emulate_request(&run.device, QCOW2_OP_WRITE, false, at, bytes, run.model + at))
		modelled_die("write failed", at);
}

static void do_zero(u64 at, u64 bytes)
{
	memset(run.model + at, 0, bytes);
	note(at, bytes, modelled_now());
	if (emulate_request(&run.device, QCOW2_OP_ZERO, modelled_draw(2), at, bytes, NULL))
		modelled_die("zeroing failed", at);
}

void modelled_read_at(u64 at, u64 bytes, u8 *to)
{
	if (emulate_request(&run.device, QCOW2_OP_READ, false, at, bytes, to))
		modelled_die("read failed", at);
}

static void do_discard(u64 at, u64 bytes)
{
	static const u8 zeros[512];
	u8 *is = malloc(bytes);
	unsigned int before = modelled_now();
	u64 i;

	if (emulate_request(&run.device, QCOW2_OP_DISCARD, true, at, bytes, NULL))
		modelled_die("discard failed", at);
	modelled_read_at(at, bytes, is);
	/* Nothing can be read back from a disk that fails: zeros may be there from now on, or what was there. */
	if (run.is_failing)
		memset(run.model + at, 0, bytes);
	for (i = 0; i < bytes && !run.is_failing; i += 512) {
		if (!memcmp(is + i, zeros, 512))
			memset(run.model + at + i, 0, 512);
		else if (memcmp(is + i, run.model + at + i, 512))
			modelled_die("content after discard", at + i);
	}
	note(at, bytes, before);
	free(is);
}

void modelled_do_read(u64 at, u64 bytes)
{
	u8 *is = malloc(bytes);

	modelled_read_at(at, bytes, is);
	if (!run.is_failing && memcmp(is, run.model + at, bytes))
		modelled_die("content", at);
	free(is);
}

void modelled_do_one(void)
{
	u64 sectors = run.size / 512;
	u64 length = 1 + modelled_draw(modelled_draw(4) ? 24 : 700);
	u64 at = modelled_draw(sectors - length + 1) * 512ULL;
	u32 kind = modelled_draw(100);

	if (kind < 60)
		do_write(at, length * 512);
	else if (kind < 75)
		do_zero(at, length * 512);
	else if (kind < 85)
		do_discard(at, length * 512);
	else
		modelled_do_read(at, length * 512);
}

/* Exit code of qemu-img for a file of the folder. */
static int qemu_img(const char *format, const char *file)
{
	char command[9000];
	int status;

	snprintf(command, sizeof(command), format, run.folder, file, run.folder);
	status = system(command);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 99;
}

void modelled_check_image(const struct disk *disk, bool leaks, const char *what)
{
	char path[8192];
	int code;

	snprintf(path, sizeof(path), "%s/after.qcow2", run.folder);
	if (disk_save(disk, path)) {
		perror(path);
		exit(2);
	}
	code = qemu_img("cd '%s' && qemu-img check -f qcow2 %s >check.out 2>&1", "after.qcow2");
	if (code && !(leaks && code == 3)) {
		fprintf(stderr, "%s: qemu-img check ends with %d\n", what, code);
		qemu_img("cd '%s' && head -20 check.out >&2 %s", "");
		exit(1);
	}
}

/* Whether a sector is as flushed, or as something made it that came later and before the crash. */
static bool is_possible(const u8 *is, u64 at, unsigned int crash)
{
	unsigned int i;

	if (!memcmp(is, run.flushed + at, 512))
		return true;
	for (i = 0; i < run.nr_done; i++) {
		const struct done *done = &run.done[i];

		if (done->event <= crash && at >= done->at && at < done->at + done->bytes &&
		    !memcmp(is, done->data + (at - done->at), 512))
			return true;
	}
	return false;
}

void modelled_check_content(struct disk *after, struct disk *below, struct disk *data, unsigned int crash)
{
	struct disk *disks[QCOW2_MAX_CHAIN];
	static struct emulated other;
	const char *reason;
	u8 *is = malloc(run.size);
	u64 at;

	memcpy(disks, run.disks, sizeof(disks));
	disks[0] = after;
	if (below)
		disks[1] = below;
	run.is_failing = false;
	if (emulate_open(&other, disks, run.nr, data, run.is_raw, false, &reason) ||
	    emulate_request(&other, QCOW2_OP_READ, false, 0, run.size, is))
		modelled_die("an image can not be read afterwards", 0);
	emulate_close(&other, true);
	for (at = 0; at < run.size; at += 512)
		if (!is_possible(is + at, at, crash))
			modelled_die("what was flushed is lost", at);
	free(is);
}

void modelled_check_crash(unsigned int at, const char *what)
{
	struct disk *after = disk_crash(run.disks[0], at, modelled_state);
	struct disk *data = run.data ? disk_crash(run.data, at, modelled_state / 2) : NULL;
	/* Written while the top is merged into it. */
	struct disk *below = run.nr > 1 && run.disks[1]->logs ? disk_crash(run.disks[1], at, modelled_state / 3) : NULL;

	modelled_check_image(after, true, what);
	if (below)
		modelled_check_image(below, true, what);
	modelled_check_content(after, below, data, at);
	disk_free(after);
	if (below)
		disk_free(below);
	if (data)
		disk_free(data);
}

/* Losses of power since the last flush of a round, or while that flush was under way. */
void modelled_crash(unsigned int from, unsigned int count)
{
	while (count--) {
		unsigned int at = from + modelled_draw(modelled_now() - from + 1);

		modelled_check_crash(at, "after a loss of power");
	}
}

void modelled_resume(void)
{
	const char *reason = "";

	if (emulate_open(&run.device, run.disks, run.nr, run.data, run.is_raw, true, &reason)) {
		fprintf(stderr, "can not be opened: %s\n", reason);
		exit(2);
	}
	run.size = run.device.target.images[0].size;
}

struct disk *modelled_copy(const struct disk *disk)
{
	struct disk *copy = disk ? disk_new(disk->data, disk->size) : NULL;

	if (copy)
		copy->block = disk->block;
	return copy;
}
