#include "daemon/cli.hpp"

int main(int argc, char** argv) { return livecanary::daemon::main(argc, argv); }
