// SPDX-License-Identifier: GPL-2.0-only
/* The owner's address space, with the kernel functions that reach it. */
#include "owner.h"

#define TASK_END 0x7ffffffff000UL
#define MAX_RANGES 64

static struct {
	u64 start;
	/* Exclusive. */
	u64 end;
	bool write;
} allowed[MAX_RANGES];

static unsigned int nr_allowed;
static const u8 *argument;
static size_t argument_len;
u8 *owner_memory;
void (*owner_hook)(void);

void owner_reset(void)
{
	if (!owner_memory)
		owner_memory = aligned_alloc(PAGE_SIZE, OWNER_SIZE);
	memset(owner_memory, 0, OWNER_SIZE);
	owner_hook = NULL;
	nr_allowed = 0;
}

void owner_set_argument(const void *bytes, size_t len)
{
	argument = bytes;
	argument_len = len;
}

void owner_allow(u64 address, u64 len, bool write)
{
	fuzz_assert(nr_allowed < MAX_RANGES);
	allowed[nr_allowed].start = address;
	allowed[nr_allowed].end = address + len;
	allowed[nr_allowed].write = write;
	nr_allowed++;
}

bool owner_mapped(u64 address, u64 len)
{
	return address >= OWNER_BASE && address <= OWNER_END && len <= OWNER_END - address;
}

bool access_ok(const void *from, size_t len)
{
	return len <= TASK_END && (u64)from <= TASK_END - len;
}

/* One of them must hold it all: two that touch are two regions, which the module looks up one by one. */
bool owner_may_access(u64 address, u64 len, bool write)
{
	unsigned int i;

	for (i = 0; i < nr_allowed; i++)
		if (address >= allowed[i].start && address <= allowed[i].end && len <= allowed[i].end - address &&
		    (allowed[i].write || !write))
			return true;
	return false;
}

bool owner_may_pin(u64 page, bool write)
{
	unsigned int i;

	for (i = 0; i < nr_allowed; i++)
		if (page < allowed[i].end && allowed[i].start < page + PAGE_SIZE && (allowed[i].write || !write))
			return true;
	return false;
}

static void call_hook(void)
{
	if (owner_hook)
		owner_hook();
}

size_t fuzz_read(void *to, const void *from, size_t len)
{
	u64 into = (u64)from - OWNER_ARGUMENT;

	if (argument && into <= argument_len && len <= argument_len - into) {
		memcpy(to, argument + into, len);
		return 0;
	}
	fuzz_assert(owner_may_access((u64)from, len, false));
	if (!owner_mapped((u64)from, len) || fuzz_not_there())
		return len;
	memcpy(to, owner_memory + ((u64)from - OWNER_BASE), len);
	call_hook();
	return 0;
}

size_t fuzz_write(void *to, const void *from, size_t len)
{
	fuzz_assert(owner_may_access((u64)to, len, true));
	if (!owner_mapped((u64)to, len) || fuzz_not_there())
		return len;
	memcpy(owner_memory + ((u64)to - OWNER_BASE), from, len);
	call_hook();
	return 0;
}

/* Pins what is mapped, up to the first page that is not. */
int pin_user_pages_fast(unsigned long start, int nr, unsigned int flags, struct page **pages)
{
	int i;

	fuzz_assert(nr > 0 && !offset_in_page(start));
	if (flags & FOLL_NO_WAIT && fuzz_not_there())
		return 0;
	for (i = 0; i < nr && owner_mapped(start + i * PAGE_SIZE, PAGE_SIZE); i++) {
		fuzz_assert(owner_may_pin(start + i * PAGE_SIZE, flags & FOLL_WRITE));
		pages[i] = malloc(sizeof(*pages[i]));
		*pages[i] = (struct page) {
			.bytes = owner_memory + (start + i * PAGE_SIZE - OWNER_BASE),
			.address = start + i * PAGE_SIZE,
			.writable = flags & FOLL_WRITE,
		};
	}
	call_hook();
	return i ? i : -EFAULT;
}

void unpin_user_page(struct page *page)
{
	fuzz_assert(page->address && (!page->dirty || page->writable));
	free(page);
}

void unpin_user_pages_dirty_lock(struct page **pages, unsigned long nr, bool dirty)
{
	unsigned long i;

	for (i = 0; i < nr; i++) {
		pages[i]->dirty |= dirty;
		unpin_user_page(pages[i]);
	}
}

struct page *alloc_page(gfp_t gfp)
{
	struct page *page = fuzz_no_memory() ? NULL : malloc(sizeof(*page));

	if (!page)
		return NULL;
	*page = (struct page) { .bytes = malloc(PAGE_SIZE), .writable = true };
	memset(page->bytes, gfp & __GFP_ZERO ? 0 : 0xaa, PAGE_SIZE);
	return page;
}

void __free_page(struct page *page)
{
	fuzz_assert(!page->address);
	free(page->bytes);
	free(page);
}
