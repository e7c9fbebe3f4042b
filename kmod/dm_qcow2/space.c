// SPDX-License-Identifier: GPL-2.0-only
/* The file's space: what is asked of the file system and given back. */
#include <linux/falloc.h>
#include <linux/fs.h>

#include "space.h"

/* Space is asked of the file system in pieces of that size: a write that extends a file waits for all others. */
#define QCOW2_SPACE_BYTES (16ULL << 20)

int qcow2_space_ensure(struct qcow2_writer *writer, u64 end)
{
	u64 bytes;
	int error;

	if (writer->no_fallocate || end <= writer->space)
		return 0;
	bytes = max(end - writer->space, QCOW2_SPACE_BYTES);
	error = vfs_fallocate(writer->top->file.file, 0, writer->space, bytes);
	if (error == -ENOSPC || error == -EDQUOT || error == -EFBIG) {
		bytes = end - writer->space;
		error = vfs_fallocate(writer->top->file.file, 0, writer->space, bytes);
	}
	if (error == -EOPNOTSUPP) {
		writer->no_fallocate = true;
		return 0;
	}
	if (!error)
		writer->space += bytes;
	return error;
}

void qcow2_space_punch(struct qcow2_writer *writer, u64 at, u64 bytes)
{
	if (bytes && !writer->no_fallocate && at + bytes <= writer->space)
		vfs_fallocate(writer->top->file.file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, at, bytes);
}

int qcow2_space_zero(struct qcow2_writer *writer, u64 at, u64 bytes, bool unmap)
{
	struct file *file = writer->data->file;

	if (!file->f_op->fallocate)
		return -EOPNOTSUPP;
	return vfs_fallocate(file, (unmap ? FALLOC_FL_PUNCH_HOLE : FALLOC_FL_ZERO_RANGE) | FALLOC_FL_KEEP_SIZE, at, bytes);
}

void qcow2_space_trim(struct qcow2_writer *writer)
{
	if (writer->no_fallocate || writer->failed || writer->space <= writer->fresh)
		return;
	if (!vfs_truncate(&writer->top->file.file->f_path, writer->fresh))
		writer->space = writer->fresh;
}
