/* SPDX-License-Identifier: GPL-2.0-only */
/* The kernel's zstd by the names of newer kernels. */
#ifndef DM_QCOW2_COMPAT_ZSTD_H
#define DM_QCOW2_COMPAT_ZSTD_H

/* Older headers define constants that not everybody uses. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-const-variable"
#include <linux/zstd.h>
#pragma GCC diagnostic pop

#ifndef HAVE_ZSTD_DCTX
#define zstd_dctx ZSTD_DCtx
#define zstd_dctx_workspace_bound ZSTD_DCtxWorkspaceBound
#define zstd_init_dctx ZSTD_initDCtx
#define zstd_decompress_dctx ZSTD_decompressDCtx
#define zstd_find_frame_compressed_size ZSTD_findFrameCompressedSize
#define zstd_is_error ZSTD_isError
#endif

#endif
