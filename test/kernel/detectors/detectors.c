// SPDX-License-Identifier: GPL-2.0-only
/* Makes the mistake that its parameter names, so that a test sees that the kernel reports it. Loading fails always. */
#include <linux/delay.h>
#include <linux/init.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/slab.h>
#include <linux/string.h>

static char *mistake = "none";
module_param(mistake, charp, 0);

static DEFINE_MUTEX(first);
static DEFINE_MUTEX(second);

static void use_after_free(void)
{
	char *bytes = kmalloc(64, GFP_KERNEL);

	kfree(bytes);
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

static void sleep_in_atomic(void)
{
	preempt_disable();
	might_sleep();
	preempt_enable();
}

static void shift_too_far(void)
{
	unsigned int by = 40;

	OPTIMIZER_HIDE_VAR(by);
	pr_info("detectors: %d\n", 1 << by);
}

static void leak(void)
{
	char *bytes;
	int i;

	for (i = 0; i < 16; i++) {
		bytes = kmalloc(64, GFP_KERNEL);
		OPTIMIZER_HIDE_VAR(bytes);
	}
}

static const struct {
	const char *name;
	void (*make)(void);
} mistakes[] = {
	{ "use_after_free", use_after_free },
	{ "write_behind", write_behind },
	{ "lock_in_two_orders", lock_in_two_orders },
	{ "sleep_in_atomic", sleep_in_atomic },
	{ "shift_too_far", shift_too_far },
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
