import { z } from 'zod';

const word = z.string().refine((text) => !text.includes('\0'), 'an argument can not hold a NUL byte');
const argv = z
  .array(word)
  .min(1)
  .refine((words) => words[0] !== '', 'the first word names the program to run');
const absolutePath = word.refine((text) => text.startsWith('/'), 'must be an absolute path');

export const commandSchema = z.strictObject({
  argv: argv.describe(
    'The program and its arguments, one string each. No shell sees them: no pipes, globs, variables.',
  ),
  creates: absolutePath
    .optional()
    .describe(
      'A path that the command makes. Where it exists there is nothing to do; if it is missing after, that is a failure.',
    ),
  unless: argv
    .optional()
    .describe(
      'A program that only reads, and its arguments. Where it ends with 0 there is nothing to do. It also runs for plan and audit, 20 s at most.',
    ),
  chdir: absolutePath.optional().describe('The folder to run in; / by default.'),
  environment: z
    .record(z.string().regex(/^[A-Za-z_][A-Za-z0-9_]*$/), word)
    .optional()
    .describe('Environment variables for argv and unless, beside PATH and LC_ALL=C.'),
  timeout: z
    .int()
    .min(1)
    .max(86_400)
    .optional()
    .describe('Seconds until the command is ended; 300 by default.'),
});

export type Command = z.output<typeof commandSchema>;
