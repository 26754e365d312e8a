export const hood = {
  title: 'Under the hood',
  close: 'Close',
  clear: 'Clear',
  filter: 'Filter',
  empty: 'Nothing yet. Send a message and see what goes over the line.',
  variables: 'Variables',
  answer: 'Answer',
  copyCurl: 'Copy as curl',
  copied: 'Copied',
  copyFailed: 'Could not copy',
  openGraphiql: 'Open GraphiQL',
  more: (n: number) => `${n} more`,
};
