// Runs the conformance kit where it comes without a main class of its own: `java -cp 'LIB/*' Launcher.java -config FILE`.
// Whoever started it judges what it prints.

import java.io.IOException;
import java.io.Reader;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.Properties;
import java.util.stream.Collectors;
import org.eclipse.dataspacetck.core.system.ConsoleMonitor;
import org.eclipse.dataspacetck.dsp.system.DspSystemLauncher;
import org.eclipse.dataspacetck.runtime.ConsoleResultWriter;
import org.eclipse.dataspacetck.runtime.TckRuntime;

class Launcher {
    public static void main(String[] arguments) throws IOException {
        if (arguments.length != 2 || !arguments[0].equals("-config")) {
            throw new IllegalArgumentException("usage: Launcher -config FILE");
        }
        Properties file = new Properties();
        try (Reader reader = Files.newBufferedReader(Path.of(arguments[1]))) {
            file.load(reader);
        }
        Map<String, String> properties =
            file.stringPropertyNames().stream().collect(Collectors.toMap(name -> name, file::getProperty));
        ConsoleMonitor monitor = new ConsoleMonitor(false, false);
        new ConsoleResultWriter(monitor).output(TckRuntime.Builder.newInstance()
            .properties(properties)
            .addPackage("org.eclipse.dataspacetck.dsp.verification")
            .launcher(DspSystemLauncher.class)
            .monitor(monitor)
            .build()
            .execute());
    }
}
