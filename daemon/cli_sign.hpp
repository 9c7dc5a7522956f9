#pragma once
// The verb `sign`: its options, one verb below it for each signature.
#include <memory>

namespace CLI {
class App;
}

namespace livecanary::daemon {

class SignVerb {
public:
    SignVerb();
    ~SignVerb();
    SignVerb(const SignVerb&) = delete;
    SignVerb& operator=(const SignVerb&) = delete;

    void add(CLI::App& app);
    /// After the command line was parsed and `sign` was in it. The exit code.
    int run();

private:
    struct Signatures;
    std::unique_ptr<Signatures> signatures_;
};

}  // namespace livecanary::daemon
