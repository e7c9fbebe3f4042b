import { z } from 'zod';

const text = z.string().refine((value) => !value.includes('\0'), 'can not hold a NUL byte');

const absolutePath = text
  .refine((path) => path.startsWith('/') && path !== '/', 'must be an absolute path, and not /')
  .refine(
    (path) =>
      !path
        .slice(1)
        .split('/')
        .some((part) => part === '' || part === '.' || part === '..'),
    "must be written plainly: no '.', '..', double or trailing slash",
  )
  .refine(
    (path) =>
      Buffer.byteLength(path) < 4096 && path.split('/').every((part) => Buffer.byteLength(part) <= 255),
    'is longer than Linux takes: 4095 bytes, and 255 between two slashes',
  );

const mode = z
  .string({
    error: (issue) =>
      typeof issue.input === 'number'
        ? `quote it: "0${issue.input}" (as a number YAML loses the leading zero, and reads it as decimal)`
        : 'must be an octal mode in quotes, such as "0644"',
  })
  .regex(/^0?[0-7]{3,4}$/, 'must be an octal mode in quotes, such as "0644"');

const account = z
  .union([
    z.int().min(0).max(4_294_967_294),
    z.string().regex(/^(?:[A-Za-z_][A-Za-z0-9_.-]{0,31}\$?|\d{1,10})$/),
  ])
  .transform(String);

/** What may stand beside each state; `state: file` needs exactly one source. */
const allowed: Readonly<Record<'file' | 'directory' | 'link' | 'absent', readonly string[]>> = {
  file: ['content', 'src', 'template', 'mode', 'owner', 'group', 'diff'],
  directory: ['mode', 'owner', 'group'],
  link: ['target', 'owner', 'group'],
  absent: ['recurse'],
};
const sources = ['content', 'src', 'template'] as const;

export const fileSchema = z
  .strictObject({
    path: absolutePath.describe('Where it stands on the host, as an absolute path.'),
    state: z
      .enum(['file', 'directory', 'link', 'absent'])
      .default('file')
      .describe('What stands there; file by default. A symlink in the way is replaced, never followed.'),
    content: z.string().optional().describe('The whole content, as text.'),
    src: z
      .string()
      .min(1)
      .optional()
      .describe("A local file to put there as it is; relative to the playbook's folder."),
    template: z
      .string()
      .min(1)
      .optional()
      .describe("A local Liquid template to render and put there; relative to the playbook's folder."),
    target: text
      .refine((value) => value !== '', 'a link needs somewhere to point')
      .optional()
      .describe('What a link points to; need not exist.'),
    mode: mode
      .optional()
      .describe('Octal mode in quotes, such as "0644". Without it, new files get 0644, new folders 0755.'),
    owner: account
      .optional()
      .describe(
        'User name or id. Without it, new ones belong to who runs the task, present ones keep their owner.',
      ),
    group: account.optional().describe('Group name or id; without it as for owner.'),
    diff: z
      .boolean()
      .optional()
      .describe('false: never show lines of it, in no plan, report or log. For files that hold a secret.'),
    recurse: z.boolean().optional().describe('For state absent: remove a folder with all that is in it.'),
  })
  .superRefine((file, context) => {
    for (const key of Object.keys(file) as (keyof typeof file)[]) {
      if (key === 'path' || key === 'state' || file[key] === undefined) continue;
      if (!allowed[file.state].includes(key))
        context.addIssue({
          code: 'custom',
          path: [key],
          message: `has no meaning with state: ${file.state}`,
        });
    }
    const given = sources.filter((key) => file[key] !== undefined);
    if (file.state === 'file' && given.length !== 1)
      context.addIssue({
        code: 'custom',
        path: given.length > 1 ? [given[1]!] : [],
        message: `a file needs one of content, src and template; ${given.length === 0 ? 'none is' : `${given.join(' and ')} are`} given`,
      });
    // /etc, /usr, /home: a variable that was empty, not a wish.
    if (file.recurse === true && file.path.lastIndexOf('/') === 0)
      context.addIssue({
        code: 'custom',
        path: ['path'],
        message: 'with recurse it must be deeper than a folder directly below /',
      });
    if (file.state === 'link' && file.target === undefined)
      context.addIssue({ code: 'custom', path: [], message: 'a link needs target' });
  });

export type FileDeclaration = z.output<typeof fileSchema>;
