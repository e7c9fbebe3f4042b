import { type AssetRequest, defineKind } from '../kind.ts';
import { planFile } from './plan.ts';
import { type FileState, parseFile, probeFiles } from './probe.ts';
import { type FileDeclaration, fileSchema } from './schema.ts';
import { fileSteps } from './steps.ts';
import { fileClaims, fileExample, fileHabits } from './words.ts';

/** A file, folder or link on the host. */
export const file = defineKind<FileDeclaration, FileState>({
  kind: 'file',
  summary:
    'A file with content, a folder, a symlink, or nothing at a path; written atomically, shown as a line diff',
  schema: fileSchema,
  example: fileExample,
  habits: fileHabits,
  claims: fileClaims,
  assets: fileAssets,
  probe: probeFiles,
  parse: parseFile,
  plan: planFile,
  steps: fileSteps,
});

function fileAssets({ src, template }: FileDeclaration): AssetRequest[] {
  if (src !== undefined) return [{ key: 'src', path: src, how: 'raw' }];
  if (template !== undefined) return [{ key: 'template', path: template, how: 'template' }];
  return [];
}
