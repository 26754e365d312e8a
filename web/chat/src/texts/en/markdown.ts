export const markdown = {
  code: 'text',
  codeIn: (language: string) => `Code, ${language}`,
  copy: 'Copy',
  copied: 'Copied',
  copyFailed: 'Could not copy',
  wrap: 'Wrap',
  table: 'Table',
  image: 'Image',
  imageNotLoaded: (address: string) => `Not loaded: ${address}`,
  done: 'Done',
  open: 'Open',
};
