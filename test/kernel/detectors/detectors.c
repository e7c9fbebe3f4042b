// SPDX-License-Identifier: GPL-2.0-only
/* Makes the mistake that its parameter names, so that a test sees the kernel report it. Loading it always fails. */
#include <linux/init.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/string.h>

static char *mistake = "none";
module_param(mistake, charp, 0);
MODULE_PARM_DESC(mistake, "which one");

static DEFINE_MUTEX(first);
static DEFINE_MUTEX(second);
static DEFINE_SPINLOCK(spin);

static void lock_in_two_orders(void)
{
	mutex_lock(&first);
	mutex_lock(&second);
	mutex_unlock(&second);
	mutex_unlock(&first);
	mutex_lock(&second);
	mutex_lock(&first);
	mutex_unlock(&first);
	mutex_unlock(&second);
}

static void use_after_free(void)
{
	char *bytes = kmalloc(64, GFP_KERNEL);

	kfree(bytes);
	OPTIMIZER_HIDE_VAR(bytes);
	if (bytes)
		WRITE_ONCE(*bytes, 1);
}

static void write_behind(void)
{
	char *bytes = kmalloc(64, GFP_KERNEL);

	/* The compiler must not know the size. */
	OPTIMIZER_HIDE_VAR(bytes);
	if (bytes)
		WRITE_ONCE(bytes[64], 1);
	kfree(bytes);
}

static void shift_too_far(void)
{
	unsigned int by = 40;

	OPTIMIZER_HIDE_VAR(by);
	pr_info("1 << %u is %d\n", by, 1 << by);
}

static void index_too_high(void)
{
	static int numbers[4];
	unsigned int index = 4;

	OPTIMIZER_HIDE_VAR(index);
	pr_info("number %u is %d\n", index, numbers[index]);
}

static void sleep_with_spinlock(void)
{
	spin_lock(&spin);
	might_sleep();
	spin_unlock(&spin);
}

static void warn(void)
{
	WARN(1, "a warning on purpose\n");
}

/* Several: one address may by chance still lie on a stack. */
static void leak(void)
{
	char *bytes;
	int i;

	for (i = 0; i < 16; i++) {
		bytes = kmalloc(1000, GFP_KERNEL);
		OPTIMIZER_HIDE_VAR(bytes);
	}
}

static const struct {
	const char *name;
	void (*make)(void);
} mistakes[] = {
	{ "lock_in_two_orders", lock_in_two_orders },
	{ "use_after_free", use_after_free },
	{ "write_behind", write_behind },
	{ "shift_too_far", shift_too_far },
	{ "index_too_high", index_too_high },
	{ "sleep_with_spinlock", sleep_with_spinlock },
	{ "warn", warn },
	{ "leak", leak },
};

static int __init detectors_init(void)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(mistakes); i++)
		if (!strcmp(mistake, mistakes[i].name))
			mistakes[i].make();
	return -EAGAIN;
}
module_init(detectors_init);

MODULE_DESCRIPTION("Mistakes that a debug kernel must report");
MODULE_LICENSE("GPL");
