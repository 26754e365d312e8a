export const hood = {};
