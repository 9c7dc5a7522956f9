#pragma once
// The command line: one function a verb.

namespace livecanary::daemon {

/// The exit code of the process.
int main(int argc, char** argv);

}  // namespace livecanary::daemon
