// Turns the cause catalogue, causes.toml, into what is compiled in and what is read:
//
//     catalogue_generate causes.toml [--header ids.hpp] [--source catalogue_data.cpp] [--docs causes.md]
//         [--runbook-en en.md] [--runbook-zh zh.md]
//
// A host tool, run by the build. It checks the whole catalogue first and prints every mistake as
// `causes.toml:line:col: message`; with a mistake nothing is written. Exit: 0, 1 mistakes or I/O, 2 usage.
#include <algorithm>
#include <fstream>
#include <iostream>
#include <map>
#include <sstream>

#include "probes/catalogue/generate.hpp"

namespace livecanary {
namespace {

/// Writes only what changed, so that a build does not compile anew what stayed the same.
bool save(const std::string& path, const std::string& content) {
    std::ostringstream old;
    if (std::ifstream in(path, std::ios::binary); in) old << in.rdbuf();
    if (old.str() == content && !content.empty()) return true;
    std::ofstream out(path, std::ios::binary);
    out << content;
    out.close();
    if (!out) std::cerr << path << ": cannot be written\n";
    return static_cast<bool>(out);
}

int usage() {
    std::cerr << "usage: catalogue_generate causes.toml [--header FILE] [--source FILE] [--docs FILE]\n"
                 "       [--runbook-en FILE] [--runbook-zh FILE]\n";
    return 2;
}

int run(const std::vector<std::string>& arguments) {
    if (arguments.size() % 2 != 1) return usage();
    const std::map<std::string, void (*)(std::ostream&, const generate::Catalogue&), std::less<>> writers{
        {"--header", generate::write_header},
        {"--source", generate::write_source},
        {"--docs", generate::write_docs},
        {"--runbook-en", generate::write_runbook_en},
        {"--runbook-zh", generate::write_runbook_zh}};
    for (std::size_t i = 1; i < arguments.size(); i += 2)
        if (!writers.contains(arguments[i])) return usage();

    const generate::ReadFile file = generate::read(arguments[0]);
    for (const std::string& mistake : file.mistakes) std::cerr << mistake << '\n';
    if (!file.mistakes.empty()) return 1;

    bool saved = true;
    for (std::size_t i = 1; i < arguments.size(); i += 2) {
        std::ostringstream out;
        writers.find(arguments[i])->second(out, file.catalogue);
        saved = save(arguments[i + 1], out.str()) && saved;
    }
    return saved ? 0 : 1;
}

}  // namespace
}  // namespace livecanary

int main(int count, char** values) { return livecanary::run({values + std::min(count, 1), values + count}); }
