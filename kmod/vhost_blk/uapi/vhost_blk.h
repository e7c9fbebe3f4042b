/* SPDX-License-Identifier: GPL-2.0-only WITH Linux-syscall-note */
/*
 * User API of /dev/vhost-blk beyond <linux/vhost.h>.
 *
 * An open file is one virtio-blk device. Order of calls: VHOST_SET_OWNER, VHOST_SET_FEATURES, VHOST_SET_MEM_TABLE, then
 * for each virtqueue VHOST_SET_VRING_NUM, _BASE, _ADDR, _KICK, _CALL and, if wanted, _ERR; last VHOST_BLK_SET_BACKEND,
 * which starts it. A virtqueue runs exactly while it has a backend: VHOST_GET_VRING_BASE stops it and takes the backend
 * away, too, so that the index it tells stays true.
 *
 * The configuration space is the VMM's; VHOST_BLK_GET_LIMITS tells what may stand in it.
 */
#ifndef _UAPI_VHOST_BLK_H
#define _UAPI_VHOST_BLK_H

#include <linux/ioctl.h>
#include <linux/types.h>
#include <linux/vhost.h>

/*
 * Attach a block device or a regular file to a virtqueue and start it, or stop it and detach.
 *
 * index: the number of one virtqueue, which alone is meant (0 is virtqueue 0, not the whole device), or
 *        VHOST_BLK_ALL_VQS: every virtqueue whose size and addresses are set.
 * fd:    an open block device or regular file, which need not stay open: the virtqueue keeps a reference. Its open mode
 *        bounds what requests may do. Or -1: take nothing more from the ring, wait for all that was taken to be
 *        answered, detach. Not an error where nothing is attached.
 *
 * EBUSY: a backend is attached already; detach it first. ENOTBLK: fd is neither a block device nor a regular file that
 * can be read and written in place. EINVAL: the virtqueue is not set up. EFAULT: its addresses are not the caller's.
 * ENOBUFS: there is no such virtqueue. With VHOST_BLK_ALL_VQS either all start or none.
 */
#ifndef VHOST_BLK_SET_BACKEND
#define VHOST_BLK_SET_BACKEND _IOW(VHOST_VIRTIO, 0xFF, struct vhost_vring_file)
#endif

#define VHOST_BLK_ALL_VQS 0xFFFFFFFFU

/* What a backend can do, for the configuration space (virtio 1.3, 5.2.4) and the feature bits of a device. */
struct vhost_blk_limits {
	/* In: sizeof(struct vhost_blk_limits) as the caller knows it; fields behind it are not written. */
	__u32 size;
	/* In: the backend to ask about, attached or not; -1: the one that is attached, of the lowest such virtqueue. */
	__s32 fd;

	/* VIRTIO_* bits that make sense with this backend: all of them may be given to VHOST_SET_FEATURES. */
	__u64 features;
	/* In sectors of 512 bytes, whole logical blocks only. */
	__u64 capacity;
	__u32 flags;
	/* In bytes. */
	__u32 logical_block_size;
	__u32 physical_block_size;
	__u32 alignment_offset;
	__u32 min_io_size;
	__u32 opt_io_size;
	/* seg_max, and the bytes of data in one request. */
	__u32 max_segments;
	__u32 max_request_bytes;
	__u32 max_vqs;
	__u32 max_vring_num;
	/* Sectors in one segment, segments in one request; 0 where the backend can not. */
	__u32 max_discard_sectors;
	__u32 max_discard_seg;
	__u32 discard_sector_alignment;
	__u32 max_write_zeroes_sectors;
	__u32 max_write_zeroes_seg;
	__u32 max_secure_erase_sectors;
	__u32 max_secure_erase_seg;
	__u32 secure_erase_sector_alignment;
};

/* Flags of struct vhost_blk_limits: writes are refused; it has a cache that a flush empties; it is a file. */
#define VHOST_BLK_LIMIT_READ_ONLY	(1U << 0)
#define VHOST_BLK_LIMIT_WRITE_CACHE	(1U << 1)
#define VHOST_BLK_LIMIT_FILE		(1U << 2)
/* Zeroing with the unmap flag frees space. */
#define VHOST_BLK_LIMIT_WZ_MAY_UNMAP	(1U << 3)

/* Tell a backend's limits. EBADF, ENOTBLK: as for VHOST_BLK_SET_BACKEND. ENODEV: fd is -1 and none is attached. */
#define VHOST_BLK_GET_LIMITS _IOWR(VHOST_VIRTIO, 0xFE, struct vhost_blk_limits)

/* What VIRTIO_BLK_T_GET_ID answers, filled up with NUL; all NUL: a name made from the backend, as from the start. */
struct vhost_blk_serial {
	__u8 serial[20];
};

/* EBUSY: a virtqueue runs. */
#define VHOST_BLK_SET_SERIAL _IOW(VHOST_VIRTIO, 0xFD, struct vhost_blk_serial)

/*
 * An eventfd that is signalled when the capacity of an attached backend is no longer what it was when it was attached or
 * last asked for by VHOST_BLK_GET_LIMITS with fd -1; -1: none.
 */
#define VHOST_BLK_SET_CONFIG_CALL _IOW(VHOST_VIRTIO, 0xFC, int)

/*
 * The guest's choice in the configuration space's writeback field, for a device with VIRTIO_BLK_F_CONFIG_WCE: 1, a write
 * may be answered before it is durable, as from the start; 0, it is durable when it is answered. At any time. Without
 * VIRTIO_BLK_F_FLUSH and VIRTIO_BLK_F_CONFIG_WCE among the features each write is durable, whatever is set here, as a
 * guest that can not flush relies on it.
 */
#define VHOST_BLK_SET_WRITE_CACHE _IOW(VHOST_VIRTIO, 0xFB, int)

/*
 * Workers. A virtqueue is served by one worker of its device. One that nobody attached to a worker gets, when it first
 * starts, the one that serves the fewest; without any of the calls below they are added up to what the module parameter
 * says. A virtqueue keeps its worker when it stops, until VHOST_SET_NWORKERS or reset.
 *
 * VHOST_SET_NWORKERS: a ceiling. Workers are added up to it, never removed until reset; EINVAL for less than there are or
 * 0; more than VHOST_BLK_MAX_WORKERS are not made. Virtqueues that do not run and that nobody attached are spread over
 * them anew when they start.
 *
 * VHOST_NEW_WORKER: add one and tell its id. ENOSPC: there are VHOST_BLK_MAX_WORKERS. VHOST_FREE_WORKER: ENODEV: there is
 * none of that id. EBUSY: it serves a virtqueue, running or not. VHOST_ATTACH_VRING_WORKER: at any time, also while the
 * virtqueue runs. ENOBUFS, ENODEV: no such virtqueue, worker. VHOST_GET_VRING_WORKER: ENOBUFS. EINVAL: it has none yet.
 */
#ifndef VHOST_SET_NWORKERS
#define VHOST_SET_NWORKERS _IOW(VHOST_VIRTIO, 0x1F, int)
#endif

/* The calls and structures of newer <linux/vhost.h>, for headers that lack them. */
#ifndef VHOST_NEW_WORKER
struct vhost_worker_state {
	unsigned int worker_id;
};

struct vhost_vring_worker {
	unsigned int index;
	unsigned int worker_id;
};

#define VHOST_NEW_WORKER		_IOR(VHOST_VIRTIO, 0x8, struct vhost_worker_state)
#define VHOST_FREE_WORKER		_IOW(VHOST_VIRTIO, 0x9, struct vhost_worker_state)
#define VHOST_ATTACH_VRING_WORKER	_IOW(VHOST_VIRTIO, 0x15, struct vhost_vring_worker)
#define VHOST_GET_VRING_WORKER		_IOWR(VHOST_VIRTIO, 0x16, struct vhost_vring_worker)
#endif

/*
 * VHOST_SET_VRING_BUSYLOOP_TIMEOUT, VHOST_GET_VRING_BUSYLOOP_TIMEOUT of <linux/vhost.h>: for how many microseconds a worker
 * polls an idle virtqueue before it sleeps; 0: not at all. At any time. EINVAL: more than VHOST_BLK_MAX_BUSYLOOP_US.
 * Where nothing was set since reset, the module parameter is a limit below which the time adapts to the guest.
 */
#define VHOST_BLK_MAX_BUSYLOOP_US 10000

/* Virtqueues of a device; the upper limit of num_queues. */
#define VHOST_BLK_MAX_VQS 64

/* Workers of a device. */
#define VHOST_BLK_MAX_WORKERS 64

/* Entries of a virtqueue, a power of two. */
#define VHOST_BLK_MAX_VRING_NUM 1024

/* Descriptors of one chain, those of an indirect table included, and entries of an indirect table. More stops the ring. */
#define VHOST_BLK_MAX_CHAIN 1024

/* The upper limit of seg_max: a chain without the header's and the status's descriptor. */
#define VHOST_BLK_MAX_SEGS (VHOST_BLK_MAX_CHAIN - 2)

/* Data of one request in bytes. More is answered with VIRTIO_BLK_S_IOERR. */
#define VHOST_BLK_MAX_REQUEST_BYTES (64U << 20)

/* Segments of one discard, write-zeroes or secure-erase request. */
#define VHOST_BLK_MAX_RANGE_SEGS 256

/* Regions of VHOST_SET_MEM_TABLE. */
#define VHOST_BLK_MAX_MEM_REGIONS 512

#endif
