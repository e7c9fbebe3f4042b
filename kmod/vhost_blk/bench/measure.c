// SPDX-License-Identifier: GPL-2.0-only
#define _GNU_SOURCE
#include "measure.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* Set-up and the last transfers on a machine that is busy; only what hangs takes this long. */
#define SPARE_SECONDS 120

struct run {
	const struct engine *engine;
	struct lane lane[MAX_QUEUES];
	pthread_t thread[MAX_QUEUES];
	bool stop;
};

struct count {
	uint64_t done, nanoseconds, cpu_ticks;
};

static void *thread(void *argument)
{
	struct lane *lane = argument;
	const struct run *run = (const struct run *)((char *)(lane - lane->index) - offsetof(struct run, lane));

	run->engine->run(lane);
	return NULL;
}

/* User, nice, system, irq and softirq time of all CPUs (proc_stat(5)): workers of the kernel and the daemon are in it. */
static uint64_t busy_ticks(void)
{
	unsigned long long user, nice, system, idle, iowait, irq, softirq;
	FILE *stat = fopen("/proc/stat", "re");
	int fields;

	if (!stat)
		return 0;
	fields = fscanf(stat, "cpu %llu %llu %llu %llu %llu %llu %llu", &user, &nice, &system, &idle, &iowait, &irq,
			&softirq);
	fclose(stat);
	return fields == 7 ? user + nice + system + irq + softirq : 0;
}

static struct count count(const struct run *run, const struct job *job)
{
	struct count sum = { 0 };
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	sum.nanoseconds = (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
	for (unsigned i = 0; i < job->queues; i++)
		sum.done += __atomic_load_n(&run->lane[i].done, __ATOMIC_RELAXED);
	sum.cpu_ticks = busy_ticks();
	return sum;
}

static void pause_for(double seconds)
{
	struct timespec left = { (time_t)seconds, (long)((seconds - (double)(time_t)seconds) * 1e9) };

	while (nanosleep(&left, &left) && errno == EINTR)
		;
}

static void run_threads(struct run *run, const struct job *job, double warm_up_seconds, double seconds,
			struct sample *sample)
{
	struct count before, after;

	for (unsigned i = 0; i < job->queues; i++)
		if (pthread_create(&run->thread[i], NULL, thread, &run->lane[i]))
			fail("can not make a thread");
	pause_for(warm_up_seconds);
	before = count(run, job);
	pause_for(seconds);
	after = count(run, job);
	__atomic_store_n(&run->stop, true, __ATOMIC_RELAXED);
	for (unsigned i = 0; i < job->queues; i++)
		pthread_join(run->thread[i], NULL);
	sample->done = after.done - before.done;
	sample->nanoseconds = after.nanoseconds - before.nanoseconds;
	sample->cpu_ticks = after.cpu_ticks - before.cpu_ticks;
}

static _Noreturn void child(const struct engine *engine, const struct job *job, double warm_up_seconds, double seconds,
			    struct sample *sample)
{
	static struct run run;
	void *state;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	alarm(SPARE_SECONDS + (unsigned)(warm_up_seconds + seconds));
	run.engine = engine;
	state = engine->open(job);
	for (unsigned i = 0; i < job->queues; i++)
		run.lane[i] = (struct lane) {
			.job = job, .index = i, .state = state, .random = 0x9e3779b97f4a7c15 * (i + 1),
			.stop = &run.stop,
		};
	run_threads(&run, job, warm_up_seconds, seconds, sample);
	for (unsigned i = 0; i < job->queues; i++) {
		sample->all_done += run.lane[i].done;
		sample->kicks += run.lane[i].kicks;
		sample->signals += run.lane[i].signals;
	}
	engine->close(state);
	pass();
}

void measure(const struct engine *engine, const struct job *job, double warm_up_seconds, double seconds,
	     struct sample *sample, struct verdict *verdict)
{
	struct sample *shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int pipes[2], status;
	pid_t pid;

	if (shared == MAP_FAILED || pipe2(pipes, O_CLOEXEC))
		fail_errno("can not start a measurement");
	pid = fork();
	if (pid < 0)
		fail_errno("fork");
	if (!pid) {
		report_to(pipes[1]);
		child(engine, job, warm_up_seconds, seconds, shared);
	}
	close(pipes[1]);
	if (read(pipes[0], verdict, sizeof(*verdict)) != (ssize_t)sizeof(*verdict))
		*verdict = (struct verdict) { OUTCOME_FAILED, "it ended without a word: it hung or crashed" };
	close(pipes[0]);
	waitpid(pid, &status, 0);
	*sample = *shared;
	munmap(shared, sizeof(*shared));
	if (verdict->outcome == OUTCOME_PASSED && (!sample->done || !sample->nanoseconds))
		*verdict = (struct verdict) { OUTCOME_FAILED, "nothing was done in the time" };
}
