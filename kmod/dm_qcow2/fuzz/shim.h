/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the module uses of the kernel, for a program of a single thread: included before everything else in each of its
 * sources, whose own includes of kernel headers find empty files. Locks tell when they are taken twice; who waits for what
 * only work can bring lets the work run.
 */
#ifndef DM_QCOW2_FUZZ_SHIM_H
#define DM_QCOW2_FUZZ_SHIM_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef int64_t s64;
typedef u64 sector_t;
typedef unsigned int gfp_t;
typedef u8 blk_status_t;
typedef unsigned int status_type_t;

#define __KERNEL__ 1
#define BLK_STS_OK 0
#define BLK_STS_NOSPC 3
#define BLK_STS_IOERR 10
#define BUILD_BUG_ON(condition) _Static_assert(!(condition), #condition)
#define PAGE_SIZE 4096UL
#define SECTOR_SIZE 512
#define SECTOR_SHIFT 9
#define HZ 100
#define likely(x) (x)
#define unlikely(x) (x)
#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))
#define DIV_ROUND_UP(n, d) (((n) + (d) - 1) / (d))
/* As the kernel's, which divides by 32 bits. */
#define DIV_ROUND_UP_ULL(n, d) (((unsigned long long)(n) + (d) - 1) / (u32)(d))
#define div_u64(n, d) ((u64)(n) / (u32)(d))
#define round_down(n, d) ((n) & ~((typeof(n))(d) - 1))
#define round_up(n, d) ((((n) - 1) | ((typeof(n))(d) - 1)) + 1)
#define min_t(type, a, b) ({ type a_ = (a), b_ = (b); a_ < b_ ? a_ : b_; })
#define max_t(type, a, b) ({ type a_ = (a), b_ = (b); a_ > b_ ? a_ : b_; })
#define min(a, b) min_t(typeof((a) + (b)), a, b)
#define max(a, b) max_t(typeof((a) + (b)), a, b)
#define clamp_t(type, v, low, high) min_t(type, max_t(type, v, low), high)
#define clamp(v, low, high) clamp_t(typeof(v), v, low, high)
#define swap(a, b) do { typeof(a) swap_ = (a); (a) = (b); (b) = swap_; } while (0)
#define container_of(pointer, type, member) ((type *)((char *)(pointer) - offsetof(type, member)))
#define READ_ONCE(x) (*(const volatile typeof(x) *)&(x))
#define WRITE_ONCE(x, value) (*(volatile typeof(x) *)&(x) = (value))
#define cmpxchg(pointer, old, new) ({ typeof(*(pointer)) old_ = *(pointer); if (old_ == (old)) *(pointer) = (new); old_; })
#define is_power_of_2(n) ((n) && !((n) & ((n) - 1)))
#define ilog2(n) (63 - __builtin_clzll(n))
#define sort(base, nr, size, compare, swapping) qsort(base, nr, size, compare)
#define smp_store_release(pointer, value) (*(pointer) = (value))
#define S64_MAX INT64_MAX
#define smp_mb() ((void)0)
#define smp_rmb() ((void)0)
#define smp_mb__after_atomic() ((void)0)
#define cond_resched() ((void)0)

void fuzz_failed(const char *condition, const char *file, int line) __attribute__((noreturn));
#define fuzz_assert(condition) ((condition) ? (void)0 : fuzz_failed(#condition, __FILE__, __LINE__))

/* Memory. */
#define GFP_KERNEL 0
#define GFP_NOIO 0
#define __GFP_NORETRY 0
#define __GFP_NOWARN 0
#define kzalloc(size, gfp) calloc(1, size)
#define kvzalloc(size, gfp) calloc(1, size)
#define kvcalloc(count, size, gfp) calloc(count, size)
#define kfree(pointer) free(pointer)
#define kvfree(pointer) free(pointer)

static inline void *memchr_inv(const void *memory, int byte, size_t bytes)
{
	const u8 *at = memory;

	for (; bytes; at++, bytes--)
		if (*at != byte)
			return (void *)at;
	return NULL;
}

struct task_struct {
	unsigned int flags;
};

extern struct task_struct *current;
#define PF_MEMALLOC_NOIO 1
#define PF_LOCAL_THROTTLE 2
#define current_restore_flags(old, which) (current->flags = (current->flags & ~(which)) | ((old) & (which)))

struct page {
	u8 data[4096];
};

static inline struct page *alloc_page(gfp_t gfp)
{
	void *page = NULL;

	return posix_memalign(&page, 4096, 4096) ? NULL : page;
}
#define __free_page(page) free(page)
#define page_address(page) ((void *)(page))

/* Lists. */
struct list_head {
	struct list_head *next, *prev;
};

struct hlist_head {
	struct hlist_node *first;
};

struct hlist_node {
	struct hlist_node *next, **pprev;
};

#define LIST_HEAD(name) struct list_head name = { &(name), &(name) }

static inline void INIT_LIST_HEAD(struct list_head *list)
{
	list->next = list->prev = list;
}

static inline void list_insert_(struct list_head *entry, struct list_head *before, struct list_head *after)
{
	before->next = after->prev = entry;
	entry->next = after;
	entry->prev = before;
}

static inline void list_add(struct list_head *entry, struct list_head *list)
{
	list_insert_(entry, list, list->next);
}

static inline void list_add_tail(struct list_head *entry, struct list_head *list)
{
	list_insert_(entry, list->prev, list);
}

static inline void list_del(struct list_head *entry)
{
	entry->next->prev = entry->prev;
	entry->prev->next = entry->next;
	entry->next = entry->prev = NULL;
}

static inline void list_del_init(struct list_head *entry)
{
	list_del(entry);
	INIT_LIST_HEAD(entry);
}

static inline bool list_empty(const struct list_head *list)
{
	return list->next == list;
}

static inline void list_move(struct list_head *entry, struct list_head *list)
{
	list_del(entry);
	list_add(entry, list);
}

static inline void list_move_tail(struct list_head *entry, struct list_head *list)
{
	list_del(entry);
	list_add_tail(entry, list);
}

static inline void list_splice_tail_init(struct list_head *from, struct list_head *to)
{
	while (!list_empty(from))
		list_move_tail(from->next, to);
}
#define list_splice_init(from, to) list_splice_tail_init(from, to)

#define list_entry(pointer, type, member) container_of(pointer, type, member)
#define list_first_entry(list, type, member) list_entry((list)->next, type, member)
#define list_first_entry_or_null(list, type, member) (list_empty(list) ? NULL : list_first_entry(list, type, member))
#define list_for_each_entry(at, list, member)						\
	for (at = list_entry((list)->next, typeof(*at), member); &at->member != (list);	\
	     at = list_entry(at->member.next, typeof(*at), member))
#define list_for_each_entry_safe(at, after, list, member)				\
	for (at = list_entry((list)->next, typeof(*at), member),			\
	     after = list_entry(at->member.next, typeof(*at), member);			\
	     &at->member != (list); at = after, after = list_entry(at->member.next, typeof(*at), member))

static inline void hlist_add_head(struct hlist_node *node, struct hlist_head *head)
{
	node->next = head->first;
	if (head->first)
		head->first->pprev = &node->next;
	head->first = node;
	node->pprev = &head->first;
}

static inline void hlist_del(struct hlist_node *node)
{
	*node->pprev = node->next;
	if (node->next)
		node->next->pprev = node->pprev;
}

#define hlist_entry_safe_(pointer, type, member) ((pointer) ? container_of(pointer, type, member) : NULL)
#define hlist_for_each_entry(at, head, member)						\
	for (at = hlist_entry_safe_((head)->first, typeof(*at), member); at;		\
	     at = hlist_entry_safe_(at->member.next, typeof(*at), member))
#define GOLDEN_RATIO_64 0x61C8864680B583EBULL
#define hash_64(value, bits) ((u32)((u64)(value) * GOLDEN_RATIO_64 >> (64 - (bits))))

/* Bits. */
#define BITS_TO_LONGS(bits) (((bits) + 63) / 64)
#define set_bit(bit, map) __set_bit(bit, map)
#define __set_bit(bit, map) ((map)[(bit) / 64] |= 1UL << ((bit) % 64))
#define __clear_bit(bit, map) ((map)[(bit) / 64] &= ~(1UL << ((bit) % 64)))
#define clear_bit_unlock(bit, map) __clear_bit(bit, map)
#define test_bit(bit, map) ((map)[(bit) / 64] >> ((bit) % 64) & 1)
#define wake_up_bit(map, bit) ((void)0)
#define wait_on_bit(map, bit, mode) fuzz_assert(!test_bit(bit, map))
#define test_and_clear_bit(bit, map) ({ bool was_ = test_bit(bit, map); __clear_bit(bit, map); was_; })
#define bitmap_fill(map, bits) memset(map, 0xff, BITS_TO_LONGS(bits) * 8)
#define bitmap_zalloc(bits, gfp) calloc(((bits) + 63) / 64, 8)
#define bitmap_free(map) free(map)

static inline unsigned long find_next_bit(const unsigned long *map, unsigned long bits, unsigned long bit)
{
	while (bit < bits && !test_bit(bit, map))
		bit++;
	return bit;
}
#define find_first_bit(map, bits) find_next_bit(map, bits, 0)

static inline unsigned long bitmap_weight(const unsigned long *map, unsigned long bits)
{
	unsigned long weight = 0, bit;

	for (bit = 0; bit < bits; bit++)
		weight += test_bit(bit, map);
	return weight;
}

/* Locks. */
typedef struct {
	int held;
} spinlock_t;

struct mutex {
	int held;
};

#define lock_(lock) (fuzz_assert(!(lock)->held), (void)((lock)->held = 1))
#define unlock_(lock) (fuzz_assert((lock)->held), (void)((lock)->held = 0))
#define spin_lock_init(lock) ((void)((lock)->held = 0))
#define mutex_init(lock) ((void)((lock)->held = 0))
#define spin_lock(lock) lock_(lock)
#define spin_unlock(lock) unlock_(lock)
#define spin_lock_irq(lock) lock_(lock)
#define spin_unlock_irq(lock) unlock_(lock)
#define spin_lock_irqsave(lock, flags) ((void)((flags) = 0), lock_(lock))
#define spin_unlock_irqrestore(lock, flags) ((void)(flags), unlock_(lock))
#define mutex_lock(lock) lock_(lock)
#define mutex_unlock(lock) unlock_(lock)
#define DEFINE_MUTEX(name) struct mutex name

typedef struct {
	int value;
} atomic_t;

typedef struct {
	s64 value;
} atomic64_t;

#define atomic_inc(v) ((void)(v)->value++)
#define atomic_dec_and_test(v) (--(v)->value == 0)
#define atomic_read(v) ((v)->value)
#define atomic64_inc(v) ((void)(v)->value++)
#define atomic64_add(n, v) ((void)((v)->value += (n)))
#define atomic64_read(v) ((v)->value)

/* Work and waiting. */
struct work_struct {
	void (*run)(struct work_struct *work);
};

struct delayed_work {
	struct work_struct work;
};

struct workqueue_struct {
	int unused;
};

typedef struct {
	int unused;
} wait_queue_head_t;

/* Runs the work that is due; false: there is none. */
bool fuzz_run_work(void);
void fuzz_queue_work(struct delayed_work *work);
/* Return: whether it was due. */
bool fuzz_cancel_work(struct delayed_work *work);
void fuzz_flush_work(struct delayed_work *work);

#define WQ_MEM_RECLAIM 0
#define WQ_UNBOUND 0
#define alloc_workqueue(name, flags, max) ((struct workqueue_struct *)calloc(1, sizeof(struct workqueue_struct)))
#define destroy_workqueue(queue) free(queue)
#define to_delayed_work(pointer) container_of(pointer, struct delayed_work, work)
#define INIT_DELAYED_WORK(work_, function) ((void)((work_)->work.run = (function)))
#define mod_delayed_work(queue, work, delay) fuzz_queue_work(work)
#define queue_delayed_work(queue, work, delay) ((void)(work))
#define flush_delayed_work(work) fuzz_flush_work(work)
#define cancel_delayed_work_sync(work) fuzz_cancel_work(work)
#define init_waitqueue_head(head) ((void)(head))
#define wake_up(head) ((void)(head))
#define wake_up_all(head) ((void)(head))
#define wq_has_sleeper(head) false
#define wait_event(head, condition) do { while (!(condition)) fuzz_assert(fuzz_run_work()); } while (0)
#define wait_event_timeout(head, condition, ticks) wait_event(head, condition)
#define schedule_timeout_uninterruptible(ticks) fuzz_assert(!"waits for memory")

/* Shrinkers, pools and bios are there in name only: memory is never short. */
struct shrink_control {
	unsigned long nr_to_scan;
};

struct shrinker {
	void *owner;
};

#define SHRINK_STOP (~0UL)
#define shrinker_owner(shrinker) ((shrinker)->owner)
#define shrinker_free(shrinker) free(shrinker)
#define shrinker_start(count, scan, owner_) ((void)(count), (void)(scan), (struct shrinker *)calloc(1, sizeof(struct shrinker)))

typedef struct {
	int unused;
} mempool_t;

#define mempool_init_page_pool(pool, min, order) ((void)(pool), 0)
#define mempool_exit(pool) ((void)(pool))
#define mempool_alloc(pool, gfp) ((void)(pool), alloc_page(gfp))
#define mempool_free(page, pool) ((void)(pool), free(page))

struct bvec_iter {
	unsigned int bi_size;
};

struct bio;

/* Files: the disk that disk.c keeps. */
struct inode {
	int unused;
};

struct path {
	struct file *file;
};

struct file_operations {
	bool fallocate;
};

struct file {
	const struct file_operations *f_op;
	struct path f_path;
	struct disk *disk;
};

struct kiocb {
	int unused;
};

struct bio_vec {
	struct page *bv_page;
	unsigned int bv_len;
	unsigned int bv_offset;
};

/* Either vecs, of whole pages one behind the other, or flat memory. */
struct iov_iter {
	u8 *memory;
	size_t count;
};

#define ITER_SOURCE 1
#define ITER_DEST 0
#define iov_iter_bvec(iter, direction, vecs, nr, bytes) ((void)(*(iter) = (struct iov_iter){ (u8 *)(vecs)->bv_page, bytes }))
#define iov_iter_advance(iter, by) ((void)((iter)->memory += (by)), (void)((iter)->count -= (by)))

#define FALLOC_FL_KEEP_SIZE 0x01
#define FALLOC_FL_PUNCH_HOLE 0x02
#define FALLOC_FL_ZERO_RANGE 0x10
int vfs_fsync(struct file *file, int datasync);
int vfs_fallocate(struct file *file, int mode, s64 at, s64 bytes);
int vfs_truncate(const struct path *path, s64 bytes);

/* The device mapper. */
struct dm_table;

struct dm_target {
	struct dm_table *table;
	u64 len;
};

#define dm_table_get_md(table) (table)
#define dm_table_device_name(table) "device"
#define dm_table_event(table) ((void)(table))
#define DMERR(format, ...) (fuzz_verbose ? (void)fprintf(stderr, format "\n", ##__VA_ARGS__) : (void)0)
extern bool fuzz_verbose;

#endif
