package chat

// EncodeCursor lets the tests make cursors that this package never gave out.
var EncodeCursor = encodeCursor
