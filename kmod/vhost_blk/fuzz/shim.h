/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the module's parsers use of the kernel, for a program: included before everything else in each of their sources, whose
 * own includes of kernel headers find empty files. Types are no larger than what compiles needs; locks do nothing.
 */
#ifndef VHOST_BLK_FUZZ_SHIM_H
#define VHOST_BLK_FUZZ_SHIM_H

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

#include <linux/types.h>
#include <linux/virtio_types.h>

typedef __u8 u8;
typedef __u16 u16;
typedef __u32 u32;
typedef __u64 u64;
typedef __s32 s32;
typedef __s64 s64;
typedef u64 sector_t;
typedef unsigned int gfp_t;
typedef u32 blk_opf_t;

#define __user
#define __rcu
#define __must_check __attribute__((warn_unused_result))
#define noinline __attribute__((noinline))
#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)
#define __maybe_unused __attribute__((unused))
#define BIT(n) (1UL << (n))
#define BIT_ULL(n) (1ULL << (n))
#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))
#define DIV_ROUND_UP(n, d) (((n) + (d) - 1) / (d))
#define min_t(type, a, b) ({ type a_ = (a), b_ = (b); a_ < b_ ? a_ : b_; })
#define max_t(type, a, b) ({ type a_ = (a), b_ = (b); a_ > b_ ? a_ : b_; })
#define min(a, b) min_t(typeof((a) + (b)), a, b)
#define max(a, b) max_t(typeof((a) + (b)), a, b)
#define container_of(pointer, type, member) ((type *)((char *)(pointer) - offsetof(type, member)))
#define READ_ONCE(x) (*(const volatile typeof(x) *)&(x))
#define WRITE_ONCE(x, value) (*(volatile typeof(x) *)&(x) = (value))
#define struct_size(pointer, member, count) (sizeof(*(pointer)) + sizeof((pointer)->member[0]) * (size_t)(count))
#define check_add_overflow(a, b, sum) __builtin_add_overflow(a, b, sum)
#define check_mul_overflow(a, b, product) __builtin_mul_overflow(a, b, product)
#define array_index_nospec(index, size) ((index) < (size) ? (index) : 0)
#define smp_mb() ((void)0)
#define smp_rmb() ((void)0)
#define smp_wmb() ((void)0)
#define le16_to_cpu(value) ((u16)(value))
#define le32_to_cpu(value) ((u32)(value))
#define le64_to_cpu(value) ((u64)(value))
#define IS_ERR(pointer) ((uintptr_t)(pointer) >= (uintptr_t)-4095)
#define ERR_PTR(error) ((void *)(intptr_t)(error))
#define PTR_ERR(pointer) ((int)(intptr_t)(pointer))

/* Fails, and tells what was expected: libFuzzer keeps the input. */
#define fuzz_assert(condition) ((condition) ? (void)0 : fuzz_failed(#condition, __FILE__, __LINE__))
void fuzz_failed(const char *condition, const char *file, int line) __attribute__((noreturn));

#define __virtio16_to_cpu(little, value) ((little) ? (u16)(value) : __builtin_bswap16(value))
#define __virtio32_to_cpu(little, value) ((little) ? (u32)(value) : __builtin_bswap32(value))
#define __virtio64_to_cpu(little, value) ((little) ? (u64)(value) : __builtin_bswap64(value))
#define __cpu_to_virtio16(little, value) __virtio16_to_cpu(little, (u16)(value))
#define __cpu_to_virtio32(little, value) __virtio32_to_cpu(little, (u32)(value))
#define __cpu_to_virtio64(little, value) __virtio64_to_cpu(little, (u64)(value))

/* Memory of the owner, see owner.h; each returns what could not be copied. */
size_t fuzz_read(void *to, const void *from, size_t len);
size_t fuzz_write(void *to, const void *from, size_t len);
bool access_ok(const void *from, size_t len);

#define copy_from_user(to, from, len) fuzz_read(to, from, len)
#define copy_to_user(to, from, len) fuzz_write(to, from, len)
#define __copy_from_user(to, from, len) fuzz_read(to, from, len)
#define __copy_to_user(to, from, len) fuzz_write(to, from, len)
#define get_user(x, from) ({						\
	typeof((typeof(*(from)))0) value_ = 0;			\
	int ret_ = fuzz_read(&value_, from, sizeof(value_)) ? -EFAULT : 0; \
	(x) = value_;							\
	ret_;								\
})
#define put_user(x, to) ({						\
	typeof(*(to)) value_ = (x);					\
	fuzz_write(to, &value_, sizeof(value_)) ? -EFAULT : 0;		\
})
#define __get_user(x, from) get_user(x, from)
#define __put_user(x, to) put_user(x, to)
#define user_access_begin(from, len) access_ok(from, len)
#define user_read_access_begin(from, len) access_ok(from, len)
#define user_write_access_begin(to, len) access_ok(to, len)
#define user_access_end() ((void)0)
#define user_read_access_end() ((void)0)
#define user_write_access_end() ((void)0)
#define unsafe_get_user(x, from, fault) do { if (get_user(x, from)) goto fault; } while (0)
#define unsafe_put_user(x, to, fault) do { if (put_user(x, to)) goto fault; } while (0)

/* Whether an access to the owner's memory fails as it is not there at once. */
bool fuzz_not_there(void);

/* Allocations that a sanitizer sees; those that may fail do so where fuzz_no_memory says. */
#define GFP_KERNEL 1
#define GFP_KERNEL_ACCOUNT 1
#define GFP_NOIO 1
#define __GFP_NOWARN 2
#define __GFP_ZERO 4
#define __GFP_RETRY_MAYFAIL 8
bool fuzz_no_memory(void);
#define kvzalloc(size, gfp) (fuzz_no_memory() ? NULL : calloc(1, size))
#define kvmalloc(size, gfp) (fuzz_no_memory() ? NULL : malloc(size))
#define kvcalloc(count, size, gfp) (fuzz_no_memory() ? NULL : calloc(count, size))
#define kvmalloc_array(count, size, gfp) (fuzz_no_memory() ? NULL : reallocarray(NULL, count, size))
#define kzalloc(size, gfp) kvzalloc(size, gfp)
#define kmalloc(size, gfp) kvmalloc(size, gfp)
#define kmalloc_array(count, size, gfp) kvmalloc_array(count, size, gfp)
#define kvfree(pointer) free(pointer)
#define kfree(pointer) free(pointer)
#define sort(base, count, size, compare, swap) qsort(base, count, size, compare)

#define PAGE_SHIFT 12
#define PAGE_SIZE 4096UL
#define PAGE_MASK (~(PAGE_SIZE - 1))
#define offset_in_page(address) ((unsigned long)(address) & (PAGE_SIZE - 1))
#define FOLL_WRITE 1
#define FOLL_NO_WAIT 2
struct page {
	u8 *bytes;
	/* Where the owner has it, 0: allocated. */
	u64 address;
	bool writable;
	bool dirty;
};

struct bio_vec {
	struct page *bv_page;
	unsigned int bv_len;
	unsigned int bv_offset;
};

int pin_user_pages_fast(unsigned long start, int nr, unsigned int flags, struct page **pages);
void unpin_user_pages_dirty_lock(struct page **pages, unsigned long nr, bool dirty);
void unpin_user_page(struct page *page);
#define unpin_user_pages(pages, nr) unpin_user_pages_dirty_lock(pages, nr, false)
#define PageDirty(page) ((page)->dirty)
#define set_page_dirty_lock(page) ((void)((page)->dirty = true))
struct page *alloc_page(gfp_t gfp);
void __free_page(struct page *page);
#define page_address(page) ((void *)(page)->bytes)
#define kmap_local_page(page) page_address(page)
#define kunmap_local(address) ((void)(address))

static inline void set_bit_le(unsigned int nr, void *bits)
{
	((u8 *)bits)[nr / 8] |= 1 << nr % 8;
}

struct block_device {
	unsigned int block;
};

#define SECTOR_SHIFT 9
#define SECTOR_SIZE 512
#define bdev_logical_block_size(bdev) ((bdev)->block)
#define bdev_get_queue(bdev) (bdev)
#define queue_dma_alignment(queue) 3U

typedef struct { int counter; } atomic_t;
#define atomic_inc(atomic) ((atomic)->counter++)

struct llist_node {
	struct llist_node *next;
};

struct llist_head {
	struct llist_node *first;
};

static inline bool llist_add(struct llist_node *node, struct llist_head *head)
{
	node->next = head->first;
	head->first = node;
	return !node->next;
}

/* What the module's structures hold, but the parsers do not use. */
struct bio {};
struct delayed_work {};
struct timer_list {};
struct list_head {};
struct mutex {};
struct ratelimit_state {};
struct rb_root {};
struct rw_semaphore {};
typedef struct {} spinlock_t;
typedef struct {} wait_queue_head_t;
typedef struct {} wait_queue_entry_t;
#define list_empty_careful(list) true
struct eventfd_ctx;
#define eventfd_signal(ctx) ((void)(ctx))

/* In place of trace.h. */
#define VHOST_BLK_TRACE_H
#define trace_vhost_blk_request_start(request, type, sector) ((void)0)
#define trace_vhost_blk_request_finish(request, status, used_len) ((void)0)

#endif
