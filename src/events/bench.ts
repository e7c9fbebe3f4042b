/** A way to the disk that `bench` compares; `host` is fio on the host's own device. */
export type BenchWay = 'host' | 'virtio-blk' | 'vhost-user-blk' | 'vhost-blk';
export type BenchRw = 'randread' | 'randwrite';

/** One row of the table: a way with some number of virtual CPUs, each with a queue of its own. */
export interface BenchResult {
  rw: BenchRw;
  vcpus: number;
  way: BenchWay;
  outcome: 'measured' | 'not measured' | 'failed';
  /** why there is no number, or not one of every round */
  reason: string | null;
  /** requests a second, of each round that gave one */
  iops: number[];
  /** median of `iops` */
  median: number | null;
  /** median divided by the host's, of the same rw and vcpus */
  ratio: number | null;
  /** µs of all CPUs of the host for a request, median of the rounds: processes, kernel threads and interrupts */
  cpuUs: number | null;
}

export interface BenchMachine {
  kernel: string;
  cpu: string;
  cpus: number;
  memoryKiB: number;
  /** load average of the minute before the run: other work on the host is in every number */
  load: number;
}

/** The JSON document of `bench`. Strings are from the host: escape before a terminal or a page. */
export interface BenchReport {
  command: 'bench';
  run: { id: string; started: string; finished: string };
  host: string;
  machine: BenchMachine;
  disk: { device: string; kind: 'block' | 'brd' | 'null_blk'; bytes: number };
  request: {
    rw: BenchRw[];
    iodepth: number;
    vcpus: number[];
    runtimeSeconds: number;
    rounds: number;
    blockBytes: number;
  };
  /**
   * What drove the ways of a guest: `guest`: fio in a small guest under KVM; `emulated guest`: the same with an emulated
   * CPU; `client`: vhost-blk-bench, a guest's driver in user space.
   */
  driver: { kind: 'guest' | 'emulated guest' | 'client'; reason: string };
  results: BenchResult[];
  warnings: string[];
}
