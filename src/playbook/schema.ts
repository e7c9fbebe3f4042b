import { z } from 'zod';
import { variableNameProblem } from '../lib/variable-name.ts';
import type { KindRegistry } from './playbook.ts';
import { isTemplate } from './template.ts';

/** Most tasks that a play may have, and most plays in a file. */
const maxTasks = 1000;
const maxPlays = 100;

const plainText = (what: string) =>
  z
    .string()
    .min(1)
    .max(200)
    .refine((text) => !/\p{Cc}/u.test(text), 'must be one line without control characters')
    .refine((text) => !isTemplate(text), `${what} can not hold a template`);

const taskName = z
  .string()
  .min(1)
  .max(200)
  .refine((text) => !/\p{Cc}/u.test(text), 'must be one line without control characters');

const tag = z
  .string()
  .regex(/^[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}$/, 'must be one word of letters, digits, _ . and -');

const variables = z
  .record(
    z.string().superRefine((name, context) => {
      const problem = variableNameProblem(name);
      if (problem !== undefined) context.addIssue({ code: 'custom', message: problem });
    }),
    z.unknown(),
  )
  .nullable();

const oneOrMore = <T extends z.ZodType>(item: T) => z.union([item, z.array(item).max(100)]);

const oneCondition = z.union([z.string().min(1), z.boolean()]);
const condition = z.union([oneCondition, z.array(oneCondition).min(1)]);

const percentage = z
  .string()
  .regex(/^(100|[1-9][0-9]?)%$/, 'must be a number of hosts, or a share of them such as "10%"');
const batch = z.union([z.int().min(1).max(10_000), percentage]);

/** What a task and a handler share. */
const common = {
  when: condition
    .optional()
    .describe(
      'A condition in CEL over variables and facts, such as `facts.os.id == "debian"`; a list holds when all of it does.',
    ),
  notify: oneOrMore(plainText('notify'))
    .optional()
    .describe('Handlers to run after this play where this changes something.'),
  become: z
    .boolean()
    .optional()
    .describe('As root (true) or as the login user; else as the play, then as the host says.'),
  vars: variables.optional().describe('Variables of this task alone; they win over those of the play.'),
};

const taskKeys = {
  name: taskName.optional().describe('What it achieves, as reports show it; may hold templates.'),
  ...common,
  loop: z
    .union([z.array(z.unknown()).max(1000), z.string().min(1)])
    .optional()
    .describe('A list, or a template that is one: the task is declared once for each `item`.'),
  tags: oneOrMore(tag)
    .optional()
    .describe(
      'Words to choose tasks by with -t; `always` is always chosen, `never` only where another tag is named.',
    ),
};

const handlerKeys = {
  name: plainText('the name of a handler').describe('The name that notify uses.'),
  ...common,
};

const playKeys = {
  name: plainText('the name of a play')
    .optional()
    .describe('What the play is about, as reports show it; else its hosts.'),
  hosts: oneOrMore(plainText('hosts')).describe(
    'The hosts it works on, as a pattern: `hypervisors`, `hv0*`, `a:b`, `a:&b`, `a:!b`.',
  ),
  become: z
    .boolean()
    .optional()
    .describe('As root (true) or as the login user, unless a task says otherwise.'),
  vars: variables.optional().describe('Variables of all its tasks; they win over those of the inventory.'),
  serial: z
    .union([batch, z.array(batch).min(1).max(20)])
    .optional()
    .describe(
      'Hosts at once: a number, a share such as "10%", or a list of them; the first batch is the canary, the last repeats. All at once without it.',
    ),
  max_fail_percentage: z
    .number()
    .min(0)
    .max(100)
    .optional()
    .describe(
      'Start no further batch once more than this share of hosts failed or is unreachable; 100 without it, which never stops.',
    ),
};

/** The words of a task and of a handler beside the resource kinds. */
export const taskWords = Object.keys(taskKeys);
export const handlerWords = Object.keys(handlerKeys);

/** A playbook as a list, each play left to playFrame. */
export const listFrame = z.array(z.unknown()).min(1).max(maxPlays);

/**
 * A play without what stands below a kind's key: that may hold templates, and is checked with them. Tasks and handlers are
 * checked one by one with taskSchemas.
 */
export const playFrame = z.strictObject({
  ...playKeys,
  tasks: z.array(z.unknown()).max(maxTasks).nullable().optional(),
  handlers: z.array(z.unknown()).max(maxTasks).nullable().optional(),
});

export type PlayFrame = z.output<typeof playFrame>;

const taskFrame = z.looseObject(taskKeys);
const handlerFrame = z.looseObject(handlerKeys);
export type TaskFrame = z.output<typeof taskFrame>;

/** Schemas of a task and a handler; keys that are not theirs are let through and left to the caller. */
export const taskSchemas = { task: taskFrame, handler: handlerFrame } as const;

/** The whole language with every kind's own schema, for JSON Schema. */
export function playbookSchema(kinds: KindRegistry): z.ZodType {
  const bodies = Object.fromEntries(
    [...kinds.values()].map((kind) => [kind.kind, kind.schema.optional().describe(kind.summary)]),
  );
  const task = z.strictObject({ ...taskKeys, ...bodies }).meta({ id: 'task' });
  const handler = z.strictObject({ ...handlerKeys, ...bodies }).meta({ id: 'handler' });
  return z
    .array(
      z
        .strictObject({
          ...playKeys,
          tasks: z.array(task).nullable().optional().describe('What hosts shall be like, in order.'),
          handlers: z
            .array(handler)
            .nullable()
            .optional()
            .describe('Tasks that run once after the others, where one of them that changes notifies it.'),
        })
        .meta({ id: 'play' }),
    )
    .min(1)
    .describe('A list of plays.');
}
