// SPDX-License-Identifier: GPL-2.0-only
#include "model.h"

#include <stdlib.h>

#include "report.h"

#define BUSY_WRITE UINT16_MAX
/* Read back at once. */
#define CHUNK_SECTORS 2048u

void model_create(struct model *model, const struct disk *disk, uint64_t first, uint32_t sectors)
{
	char *data = malloc((size_t)CHUNK_SECTORS * SECTOR);

	model->first = first;
	model->sectors = sectors;
	model->content = malloc(sectors * sizeof(*model->content));
	model->busy = calloc(sectors, sizeof(*model->busy));
	if (!data || !model->content || !model->busy)
		fail("out of memory");
	for (uint32_t i = 0; i < sectors; i++)
		model->content[i] = MODEL_FIRST_SALT;
	for (uint32_t at = 0; at < sectors; at += CHUNK_SECTORS) {
		uint32_t n = sectors - at < CHUNK_SECTORS ? sectors - at : CHUNK_SECTORS;

		pattern_fill(data, (size_t)n * SECTOR, first + at, MODEL_FIRST_SALT);
		disk_write(disk, (first + at) * SECTOR, data, (size_t)n * SECTOR);
	}
	free(data);
}

void model_destroy(struct model *model)
{
	free(model->content);
	free(model->busy);
}

bool model_begin(struct model *model, uint32_t sector, uint32_t sectors, bool write)
{
	for (uint32_t i = sector; i < sector + sectors; i++)
		if (write ? model->busy[i] : model->busy[i] == BUSY_WRITE)
			return false;
	for (uint32_t i = sector; i < sector + sectors; i++)
		model->busy[i] = write ? BUSY_WRITE : model->busy[i] + 1;
	return true;
}

void model_cancel(struct model *model, uint32_t sector, uint32_t sectors, bool write)
{
	for (uint32_t i = sector; i < sector + sectors; i++)
		model->busy[i] = write ? 0 : model->busy[i] - 1;
}

void model_end_read(struct model *model, uint32_t sector, uint32_t sectors)
{
	model_cancel(model, sector, sectors, false);
}

void model_end_write(struct model *model, uint32_t sector, uint32_t sectors, uint32_t content)
{
	for (uint32_t i = sector; i < sector + sectors; i++) {
		model->busy[i] = 0;
		model->content[i] = content;
	}
}

static void expect_zero(const char *what, const char *data, size_t bytes, uint64_t sector)
{
	for (size_t i = 0; i < bytes; i++)
		if (data[i])
			fail("%s: expected sector %llu to be zeroes, saw byte %zu to be %#04x", what,
			     (unsigned long long)(sector + i / SECTOR), i % SECTOR, (unsigned char)data[i]);
}

void model_expect(const struct model *model, const char *what, uint32_t sector, uint32_t sectors, const char *data)
{
	uint32_t end = sector + sectors, next;

	/* Neighbours with the same content at once. */
	for (; sector < end; data += (size_t)(next - sector) * SECTOR, sector = next) {
		uint32_t content = model->content[sector];

		for (next = sector + 1; next < end && model->content[next] == content; next++)
			;
		if (content == MODEL_ZERO)
			expect_zero(what, data, (size_t)(next - sector) * SECTOR, model->first + sector);
		else if (content != MODEL_UNKNOWN)
			pattern_expect(what, data, (size_t)(next - sector) * SECTOR, model->first + sector, content);
	}
}

void model_expect_disk(const struct model *model, const struct disk *disk)
{
	char *data = malloc((size_t)CHUNK_SECTORS * SECTOR);

	if (!data)
		fail("out of memory");
	for (uint32_t at = 0; at < model->sectors; at += CHUNK_SECTORS) {
		uint32_t n = model->sectors - at < CHUNK_SECTORS ? model->sectors - at : CHUNK_SECTORS;

		disk_read(disk, (model->first + at) * SECTOR, data, (size_t)n * SECTOR);
		model_expect(model, "disk", at, n, data);
	}
	free(data);
}
