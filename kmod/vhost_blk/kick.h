/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Kicks: what the guest writes to a virtqueue's eventfd when it has made requests available. A kick of a virtqueue that is
 * idle need not wake its worker: the thread that kicks serves it by itself, when it is about to return to user mode, if that
 * is quick. All that would have to wait, for memory or for the disk, is left to the worker.
 */
#ifndef VHOST_BLK_KICK_H
#define VHOST_BLK_KICK_H

struct file;
struct vblk_dev;
struct vblk_kicker;
struct vblk_vq;

/* vblk_kick_init() - @dev: new */
void vblk_kick_init(struct vblk_dev *dev);

/* vblk_kick_reset() - no virtqueue of @dev runs any more */
void vblk_kick_reset(struct vblk_dev *dev);

/* vblk_kick_start() - begin to listen to kicks, and have the virtqueue looked at once; dev->lock held */
void vblk_kick_start(struct vblk_vq *vq);

/**
 * vblk_kick_stop() - listen no more; dev->lock held
 *
 * On return no thread that kicked serves the virtqueue, and none will. Behind an RCU grace period nothing here queues it.
 */
void vblk_kick_stop(struct vblk_vq *vq);

/* vblk_kick_rest() - leave all kicks to the worker for a while: the threads that kick were of no use; any context */
void vblk_kick_rest(struct vblk_vq *vq);

/* vblk_kick_set() - use another kick eventfd, or none; takes over the reference; dev->lock held */
void vblk_kick_set(struct vblk_vq *vq, struct file *kick);

/* vblk_kick_exit() - the module goes: no thread is in code of it any more on return */
void vblk_kick_exit(void);

#endif
