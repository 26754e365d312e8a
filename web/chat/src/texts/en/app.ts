export const app = {
  close: 'Close',
};
