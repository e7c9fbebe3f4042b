import type { z } from 'zod';
import type { FactsPatch, HostFacts } from '../facts/facts.ts';
import type { ErrorCode } from '../lib/errors.ts';
import type { Habits } from '../lib/habits.ts';

/** The four actions; each is also the glyph that people see. `±` is remove and make anew. */
export type Action = '+' | '~' | '-' | '±';

/** A local file that a declaration needs; paths are relative to the playbook's folder. */
export interface AssetRequest {
  /** the key in the task that names it, for the error's position; assets are handed on under this name */
  key: string;
  path: string;
  /** raw bytes · a Liquid template rendered with the host's variables · a folder, all its files */
  how: 'raw' | 'template' | 'folder';
}

/** One file of a folder asset. `path` is relative, with `/`, and safe: no `..`, no absolute, no links. */
export interface AssetFile {
  path: string;
  mode: number;
  bytes: Buffer;
  sha256: string;
}

/** Loaded content. The same bytes are one object for all hosts. */
export interface Asset {
  /** of bytes, or for a folder of the text `sha256  path\n` a file, in byte order of the paths */
  sha256: string;
  /** for raw and template */
  bytes?: Buffer;
  /** for folder, in byte order of the paths */
  files?: readonly AssetFile[];
}

/** A declaration that a kind works on: checked, templates rendered, files loaded. */
export interface Input<D> {
  desired: D;
  assets: Readonly<Record<string, Asset>>;
}

/** One difference, as data. `path` names what differs, stable over runs: `mode`, `package.qemu-utils`. */
export interface Change {
  path: string;
  /** null where there was nothing; never the content of a file, which goes to `diff` */
  from: string | null;
  to: string | null;
  action: Action;
  /** for people only: nothing may be decided by it */
  reason?: string;
  /** unified diff text, already made of printable lines, for file contents */
  diff?: string;
}

export type ResourcePlan =
  /** in sync; `reason` says why there is nothing to do */
  | {
      status: 'ok';
      reason: string;
      warnings?: readonly string[];
      /** what people can do now, such as a command line to type; told at the end of a run */
      notes?: readonly string[];
      /** values that guests see, by what they are of: between hosts where one differs a guest can not migrate */
      guestVisible?: Readonly<Record<string, string>>;
    }
  /** apply will make exactly these; `facts` is what tasks behind it may count on */
  | {
      status: 'change';
      changes: readonly Change[];
      facts?: FactsPatch;
      /** the effect can not be predicted (kind `command`) */
      unpredictable?: boolean;
      /** made without knowing what tasks before it may bring: where the host asks for more then, a further job does it, once */
      provisional?: boolean;
      /** values that guests see now, by what they are of: between hosts where one differs a guest can not migrate */
      guestVisible?: Readonly<Record<string, string>>;
      warnings?: readonly string[];
    }
  /** differs, but must not be touched now (a module in use); shown as pending, apply makes no step */
  | {
      status: 'held';
      changes: readonly Change[];
      reason: string;
      state: string;
      warnings?: readonly string[];
      notes?: readonly string[];
      guestVisible?: Readonly<Record<string, string>>;
    }
  /** the host can not carry it: stop it before anything changes */
  | { status: 'blocked'; code: ErrorCode; message: string; hint?: string };

/** Bytes that a step needs on the host; the engine sends each distinct content once. */
export interface Payload {
  sha256: string;
  bytes: Buffer;
}

/**
 * One step of a task: a POSIX sh fragment run by `sh -eu` as its own process inside the host's job, as root (or the
 * login user where the task does not become), cwd /, umask 077, LC_ALL=C, stdin /dev/null. Atomic, safe to run twice.
 * `"$BF_PAYLOAD/<sha256>"` are its payloads, checked there; `"$BF_TMP"` is a private empty folder, removed after.
 * Its output is the live log; a non-zero end is the task's failure, with the last lines shown.
 */
export interface Step {
  title: string;
  script: string;
  payloads?: readonly Payload[];
  /** run before the script; non-zero means that the host changed since the plan, and the job stops there */
  guard?: string;
  /** seconds until it is ended; default 300 */
  deadline?: number;
}

/**
 * What a declaration says of one thing on the host. Of two declarations for a host that say different things of one property
 * one can not come true: the later would undo the earlier on every run.
 */
export interface Claim {
  /** the thing, as people know it: a path, `package qemu-utils` */
  subject: string;
  /** its properties, short enough to be shown, or a sha256; what is not declared is left out */
  says: Readonly<Record<string, string>>;
}

/** A finding of `check`; the key, such as `argv` or `source.1`, gives it its place. */
export interface CheckFinding {
  key: string;
  message: string;
  hint?: string;
  /** allowed, and most likely not meant */
  warning?: true;
}

export interface PlanContext {
  /** facts as the tasks before this one will have left them */
  facts: HostFacts;
  /** kernel modules whose file for the running kernel a task before this one will make anew */
  modulesBuilt?: ReadonlySet<string>;
}

/**
 * A resource kind: pure functions and shell text; it knows no SSH, no other kind, no terminal.
 *
 * `probe` gets all declarations of this kind on one host and returns one sh fragment that only reads. The fragment
 * prints an answer for input `i` between calls of the prelude's `bf_b i` and `bf_e i RC`, e.g.
 * `bf_b 0; stat -c %a -- '/etc/x' 2>/dev/null; bf_e 0 $?`, or at once as `bf_f i TEXT`. Spend few forks, and as few
 * `$( )`, where the shell itself is copied: 20 resources share 0.1 CPU seconds.
 * Functions and variables that it defines start with `<kind>_`. stdin is /dev/null, LC_ALL=C, absolute PATH; no `set -e`.
 * What is printed is untrusted: `parse` checks it, caps it, and throws FleetError E_PROBE when it makes no sense.
 */
export interface ResourceKind<D = unknown, C = unknown> {
  readonly kind: string;
  /** one line for people and for the JSON Schema */
  readonly summary: string;
  /** what stands under the kind's key in a task; strict, with .describe() on each key */
  readonly schema: z.ZodType<D>;
  /** a task of this kind as YAML, for docs/playbooks.md; its files are relative to playbooks/ */
  readonly example: string;
  /** what users of other tools write here by habit, and what to write instead; by key, see lib/habits.ts */
  readonly habits?: Habits;
  /** local files that this declaration needs */
  assets?(desired: D): readonly AssetRequest[];
  /** checks that need assets, offline */
  check?(input: Input<D>): readonly CheckFinding[];
  /** what it says of which things, so that tasks which contradict each other are found before anything is contacted */
  claims?(input: Input<D>): readonly Claim[];
  probe(inputs: readonly Input<D>[]): string;
  parse(output: Buffer, input: Input<D>): C;
  plan(input: Input<D>, current: C, context: PlanContext): ResourcePlan;
  /** the steps that turn `current` into `desired`; called only where plan says `change` */
  steps(input: Input<D>, current: C, context: PlanContext): readonly Step[];
}

/** Keeps the type parameters of a kind at its definition and forgets them in the registry. */
export function defineKind<D, C>(kind: ResourceKind<D, C>): ResourceKind {
  return kind as unknown as ResourceKind;
}
