import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, readlinkSync, rmdirSync } from 'node:fs';
import { join } from 'node:path';
import { isAlive } from './process-state.mjs';

const MARK = 'BLKFLEET_TEST_RUN';
// Where a cgroup can be made that only tells who belongs together: version 2, or a hierarchy of version 1.
const hierarchies = [
  '/sys/fs/cgroup',
  '/sys/fs/cgroup/unified',
  '/sys/fs/cgroup/systemd',
  '/sys/fs/cgroup/pids',
];

/**
 * Tells what a test run leaves on the machine. Processes are known by a cgroup of the run, which nobody leaves by forking
 * twice or by a clean environment; where none can be made, by a variable in their environment. Namespaces that are kept
 * by name, mounts and loop devices are compared with what there was before.
 */
export class Leftovers {
  #id = `${process.pid}-${randomBytes(4).toString('hex')}`;
  #cgroup = makeCgroup(`blkfleet-test-${this.#id}`);
  #before = machineState();

  /** what programs of the run need in their environment */
  get environment() {
    return { [MARK]: this.#id };
  }

  /** The command line that starts a program as one of the run. */
  command(argv) {
    if (!this.#cgroup) return argv;
    return ['sh', '-c', 'echo $$ > "$0" && exec "$@"', join(this.#cgroup, 'cgroup.procs'), ...argv];
  }

  /** Processes of the run that are still there, as `{ pid, text }`. */
  processes() {
    const pids = new Set(this.#cgroup ? membersOf(this.#cgroup) : []);
    for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name)))
      if (
        Number(pid) !== process.pid &&
        read(`/proc/${pid}/environ`).split('\0').includes(`${MARK}=${this.#id}`)
      )
        pids.add(Number(pid));
    return [...pids].filter(isAlive).map((pid) => ({ pid, text: describe(pid) }));
  }

  /** Namespaces, mounts and loop devices that were not there before, one line each. */
  things() {
    const before = new Set(this.#before);
    return machineState().filter((line) => !before.has(line));
  }

  /** Ends the processes that are left. */
  endProcesses() {
    for (const { pid } of this.processes()) {
      try {
        process.kill(pid, 'SIGKILL');
      } catch {
        // it ended by itself
      }
    }
  }

  /** Call it last. */
  close() {
    if (!this.#cgroup) return;
    try {
      rmdirSync(this.#cgroup);
    } catch {
      // a process that can not be killed sits in it, and has been named
    }
  }
}

function makeCgroup(name) {
  for (const hierarchy of hierarchies) {
    if (!existsSync(join(hierarchy, 'cgroup.procs'))) continue;
    const folder = join(hierarchy, name);
    try {
      mkdirSync(folder);
      if (existsSync(join(folder, 'cgroup.procs'))) return folder;
      rmdirSync(folder);
    } catch {
      // mounted read-only, as in most containers
    }
  }
  return null;
}

function membersOf(cgroup) {
  return read(join(cgroup, 'cgroup.procs')).split('\n').filter(Boolean).map(Number);
}

function describe(pid) {
  const words = read(`/proc/${pid}/cmdline`).split('\0').join(' ').trim();
  return `process ${pid}: ${(words || read(`/proc/${pid}/comm`).trim()).slice(0, 200)}`;
}

function machineState() {
  const lines = [];
  for (const line of read('/proc/self/mountinfo').split('\n').filter(Boolean)) {
    const [, , , root, point] = line.split(' ');
    const [type, source] = line.slice(line.indexOf(' - ') + 3).split(' ');
    lines.push(`mount ${point}: ${type} of ${source}${root === '/' ? '' : ` ${root}`}`);
  }
  for (const name of list('/run/netns')) lines.push(`network namespace ${name}`);
  for (const name of list('/sys/class/net')) lines.push(`network interface ${name}`);
  for (const name of list('/sys/block').filter((block) => block.startsWith('loop'))) {
    const file = read(`/sys/block/${name}/loop/backing_file`).trim();
    if (file) lines.push(`loop device ${name}: ${file}`);
  }
  for (const name of list('/dev/mapper'))
    if (name !== 'control') lines.push(`device mapper ${link(`/dev/mapper/${name}`)}`);
  return lines;
}

function read(path) {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

function list(path) {
  try {
    return readdirSync(path);
  } catch {
    return [];
  }
}

function link(path) {
  try {
    return `${path} → ${readlinkSync(path)}`;
  } catch {
    return path;
  }
}
