package relive

// Free is for the tests of what happens without space.
var Free = free
