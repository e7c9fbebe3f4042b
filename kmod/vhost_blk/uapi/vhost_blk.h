/* SPDX-License-Identifier: GPL-2.0-only WITH Linux-syscall-note */
/*
 * User API of /dev/vhost-blk beyond <linux/vhost.h>.
 *
 * An open file is one virtio-blk device. Order of calls: VHOST_SET_OWNER, VHOST_SET_FEATURES, VHOST_SET_MEM_TABLE, then
 * for each virtqueue VHOST_SET_VRING_NUM, _BASE, _ADDR, _KICK, _CALL and, if wanted, _ERR; last VHOST_BLK_SET_BACKEND,
 * which starts it. A virtqueue runs exactly while it has a backend: VHOST_GET_VRING_BASE stops it and takes the backend
 * away, too, so that the index it tells stays true.
 *
 * The configuration space is the VMM's. Two of its fields must respect limits from here: seg_max and num_queues. When
 * VIRTIO_BLK_F_FLUSH is not among the bits of VHOST_SET_FEATURES, each write is made durable before it is answered, as a
 * guest that can not flush relies on it.
 */
#ifndef _UAPI_VHOST_BLK_H
#define _UAPI_VHOST_BLK_H

#include <linux/ioctl.h>
#include <linux/types.h>
#include <linux/vhost.h>

/*
 * Attach a block device to a virtqueue and start it, or stop it and detach.
 *
 * index: the number of one virtqueue, which alone is meant (0 is virtqueue 0, not the whole device), or
 *        VHOST_BLK_ALL_VQS: every virtqueue whose size and addresses are set.
 * fd:    an open block device, which need not stay open: the virtqueue keeps a reference. Its open mode bounds what
 *        requests may do. Or -1: take nothing more from the ring, wait for all that was taken to be answered, detach.
 *        Not an error where nothing is attached.
 *
 * EBUSY: a backend is attached already; detach it first. ENOTBLK: fd is no block device. EINVAL: the virtqueue is not set
 * up. EFAULT: its addresses are not the caller's. ENOBUFS: there is no such virtqueue. With VHOST_BLK_ALL_VQS either all
 * start or none.
 */
#ifndef VHOST_BLK_SET_BACKEND
#define VHOST_BLK_SET_BACKEND _IOW(VHOST_VIRTIO, 0xFF, struct vhost_vring_file)
#endif

#define VHOST_BLK_ALL_VQS 0xFFFFFFFFU

/* Virtqueues of a device; the upper limit of num_queues. */
#define VHOST_BLK_MAX_VQS 16

/* Entries of a virtqueue, a power of two. */
#define VHOST_BLK_MAX_VRING_NUM 1024

/* Descriptors of one chain, those of an indirect table included, and entries of an indirect table. More stops the ring. */
#define VHOST_BLK_MAX_CHAIN 1024

/* The upper limit of seg_max: a chain without the header's and the status's descriptor. */
#define VHOST_BLK_MAX_SEGS (VHOST_BLK_MAX_CHAIN - 2)

/* Data of one request in bytes. More is answered with VIRTIO_BLK_S_IOERR. */
#define VHOST_BLK_MAX_REQUEST_BYTES (64U << 20)

/* Regions of VHOST_SET_MEM_TABLE. */
#define VHOST_BLK_MAX_MEM_REGIONS 512

#endif
