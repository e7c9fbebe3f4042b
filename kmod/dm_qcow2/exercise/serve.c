// SPDX-License-Identifier: GPL-2.0-only
/*
 * qcow2-serve: lets programs outside of a guest use images by way of the target: an NBD server (the protocol's document is
 * doc/proto.md of the nbd project; fixed newstyle, simple replies) whose exports are named MODE:IMAGE with MODE rw or ro. The
 * image is attached when a client asks for it, and detached when the client goes; who connects next is greeted after that.
 *
 * usage: qcow2-serve PORT TOOL
 * TOOL is blkfleet-qcow2. One client at a time; the export "end" ends the program.
 */
#define _GNU_SOURCE
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define MAGIC_OPTION 0x49484156454f5054ULL
#define MAGIC_ANSWER 0x0003e889045565a9ULL
#define MAGIC_REQUEST 0x25609513
#define MAGIC_REPLY 0x67446698

enum option { OPTION_EXPORT = 1, OPTION_ABORT = 2, OPTION_INFO = 6, OPTION_GO = 7 };
enum answer { ANSWER_ACK = 1, ANSWER_INFO = 3, ANSWER_UNSUPPORTED = 0x80000001U, ANSWER_UNKNOWN = 0x80000006U };
enum info { INFO_EXPORT = 0, INFO_BLOCK_SIZE = 3 };
enum request { REQUEST_READ, REQUEST_WRITE, REQUEST_DISC, REQUEST_FLUSH, REQUEST_TRIM, REQUEST_ZEROES = 6 };

/* Flush, FUA, trim and write-zeroes are there; and with it, that it is read-only. */
#define EXPORT_FLAGS (1 | 4 | 8 | 32 | 64)
#define EXPORT_READ_ONLY 2
#define COMMAND_FUA 1
#define COMMAND_NO_HOLE 2

#define BLOCK 512
#define MAX_BYTES (32U << 20)
#define MAX_OPTION_BYTES 8192

struct __attribute__((packed)) request_head {
	uint32_t magic;
	uint16_t flags;
	uint16_t type;
	uint64_t cookie;
	uint64_t at;
	uint32_t bytes;
};

static const char *tool;
/* Of this program's own, so that several can run. */
static char device_name[32];
static int client = -1;
static int device = -1;
static uint64_t device_bytes;
static bool is_read_only;
static char *buffer;

static bool receive(void *to, size_t bytes)
{
	/* Nothing would wait for something. */
	return !bytes || recv(client, to, bytes, MSG_WAITALL) == (ssize_t)bytes;
}

static bool send_all(const void *from, size_t bytes)
{
	while (bytes) {
		ssize_t ret = send(client, from, bytes, MSG_NOSIGNAL);

		if (ret <= 0)
			return false;
		from = (const char *)from + ret;
		bytes -= ret;
	}
	return true;
}

static int run(char *const argv[])
{
	pid_t pid = fork();
	int status;

	if (!pid) {
		execv(argv[0], argv);
		_exit(127);
	}
	return pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static bool attach(char *name)
{
	char *const argv[] = { (char *)tool, "attach", name + 3, "--name", device_name, is_read_only ? "--ro" : NULL, NULL };

	char path[64];

	if (run(argv))
		return false;
	snprintf(path, sizeof(path), "/dev/mapper/%s", device_name);
	device = open(path, (is_read_only ? O_RDONLY : O_RDWR) | O_DIRECT | O_CLOEXEC);
	return device >= 0 && !ioctl(device, BLKGETSIZE64, &device_bytes);
}

static void detach(void)
{
	char *const argv[] = { (char *)tool, "detach", device_name, NULL };

	if (device < 0)
		return;
	if (!is_read_only && fsync(device))
		perror("flush");
	close(device);
	device = -1;
	if (run(argv))
		exit(1);
}

static bool answer(uint32_t option, uint32_t type, const void *data, uint32_t bytes)
{
	struct __attribute__((packed)) {
		uint64_t magic;
		uint32_t option, type, bytes;
	} head = { htobe64(MAGIC_ANSWER), htobe32(option), htobe32(type), htobe32(bytes) };

	return send_all(&head, sizeof(head)) && send_all(data, bytes);
}

static uint16_t export_flags(void)
{
	return EXPORT_FLAGS | (is_read_only ? EXPORT_READ_ONLY : 0);
}

static bool tell_export(uint32_t option)
{
	struct __attribute__((packed)) {
		uint16_t type;
		uint64_t bytes;
		uint16_t flags;
	} export = { htobe16(INFO_EXPORT), htobe64(device_bytes), htobe16(export_flags()) };
	struct __attribute__((packed)) {
		uint16_t type;
		uint32_t least, best, most;
	} sizes = { htobe16(INFO_BLOCK_SIZE), htobe32(BLOCK), htobe32(4096), htobe32(MAX_BYTES) };

	return answer(option, ANSWER_INFO, &export, sizeof(export)) &&
	       answer(option, ANSWER_INFO, &sizes, sizeof(sizes)) && answer(option, ANSWER_ACK, NULL, 0);
}

/* Attaches what a client names; a word for it when that can not be. */
static bool open_export(char *name)
{
	if (!strcmp(name, "end"))
		exit(0);
	detach();
	is_read_only = !strncmp(name, "ro:", 3);
	if ((is_read_only || !strncmp(name, "rw:", 3)) && attach(name))
		return true;
	printf("@@refused %s\n", name);
	return false;
}

/* Return: whether requests follow. */
static bool do_option(uint32_t option, char *data, uint32_t bytes, bool *goes_on)
{
	uint32_t length = 0;

	*goes_on = true;
	if (option == OPTION_GO || option == OPTION_INFO) {
		if (bytes >= sizeof(length))
			memcpy(&length, data, sizeof(length));
		length = be32toh(length);
		if (length > bytes - sizeof(length)) {
			*goes_on = false;
			return false;
		}
		data[sizeof(length) + length] = '\0';
		if (!open_export(data + sizeof(length))) {
			*goes_on = answer(option, ANSWER_UNKNOWN, NULL, 0);
			return false;
		}
		*goes_on = tell_export(option);
		return option == OPTION_GO;
	}
	*goes_on = option != OPTION_ABORT && option != OPTION_EXPORT && answer(option, ANSWER_UNSUPPORTED, NULL, 0);
	return false;
}

/* Return: whether requests follow. */
static bool shake_hands(void)
{
	static const char greeting[] = "NBDMAGICIHAVEOPT\0\3";
	char data[MAX_OPTION_BYTES + 1];
	bool is_chosen = false, goes_on = true;
	uint32_t flags;

	if (!send_all(greeting, 18) || !receive(&flags, sizeof(flags)))
		return false;
	while (goes_on && !is_chosen) {
		struct __attribute__((packed)) {
			uint64_t magic;
			uint32_t option, bytes;
		} head;

		if (!receive(&head, sizeof(head)) || be64toh(head.magic) != MAGIC_OPTION ||
		    be32toh(head.bytes) > MAX_OPTION_BYTES || !receive(data, be32toh(head.bytes)))
			return false;
		is_chosen = do_option(be32toh(head.option), data, be32toh(head.bytes), &goes_on);
	}
	return is_chosen && goes_on;
}

static int do_zeroes(bool keeps_space, uint64_t at, uint64_t bytes)
{
	uint64_t range[2] = { at, bytes };

	if (keeps_space)
		return ioctl(device, BLKZEROOUT, range);
	return fallocate(device, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, at, bytes);
}

static ssize_t do_request(uint16_t type, uint16_t flags, uint64_t at, uint32_t bytes)
{
	uint64_t range[2] = { at, bytes };
	ssize_t ret;

	switch (type) {
	case REQUEST_READ:
		return pread(device, buffer, bytes, at) == (ssize_t)bytes ? 0 : -1;
	case REQUEST_WRITE:
		ret = pwrite(device, buffer, bytes, at) == (ssize_t)bytes ? 0 : -1;
		break;
	case REQUEST_TRIM:
		ret = ioctl(device, BLKDISCARD, range);
		break;
	case REQUEST_ZEROES:
		ret = do_zeroes(flags & COMMAND_NO_HOLE, at, bytes);
		break;
	case REQUEST_FLUSH:
		return fsync(device);
	default:
		errno = EINVAL;
		return -1;
	}
	return !ret && flags & COMMAND_FUA ? fsync(device) : ret;
}

/* Return: whether the client is still there. */
static bool serve_one(void)
{
	struct request_head head;
	struct __attribute__((packed)) {
		uint32_t magic, error;
		uint64_t cookie;
	} reply = { htobe32(MAGIC_REPLY), 0, 0 };
	uint16_t type;
	uint32_t bytes;

	if (!receive(&head, sizeof(head)) || be32toh(head.magic) != MAGIC_REQUEST)
		return false;
	type = be16toh(head.type);
	bytes = be32toh(head.bytes);
	if (type == REQUEST_DISC || (type <= REQUEST_WRITE && bytes > MAX_BYTES))
		return false;
	if (type == REQUEST_WRITE && !receive(buffer, bytes))
		return false;
	errno = 0;
	if (do_request(type, be16toh(head.flags), be64toh(head.at), bytes))
		reply.error = htobe32(errno ? errno : EIO);
	reply.cookie = head.cookie;
	return send_all(&reply, sizeof(reply)) && (type != REQUEST_READ || reply.error || send_all(buffer, bytes));
}

static void serve(void)
{
	int yes = 1;

	setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
	if (shake_hands())
		while (serve_one())
			;
	detach();
	close(client);
}

int main(int argc, char **argv)
{
	struct sockaddr_in address = { .sin_family = AF_INET };
	int server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (argc != 3) {
		fprintf(stderr, "usage: %s PORT TOOL\n", argv[0]);
		return 2;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	tool = argv[2];
	snprintf(device_name, sizeof(device_name), "served-%s", argv[1]);
	address.sin_port = htons(strtoul(argv[1], NULL, 10));
	if (bind(server, (struct sockaddr *)&address, sizeof(address)) || listen(server, 8) ||
	    posix_memalign((void **)&buffer, 4096, MAX_BYTES)) {
		perror("server");
		return 1;
	}
	puts("@@serving");
	while ((client = accept4(server, NULL, NULL, SOCK_CLOEXEC)) >= 0)
		serve();
	perror("accept");
	return 1;
}
