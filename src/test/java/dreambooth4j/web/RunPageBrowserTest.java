package dreambooth4j.web;

import static org.assertj.core.api.Assertions.assertThat;

import dreambooth4j.page.ComparePage;
import dreambooth4j.page.LivePage;
import dreambooth4j.page.RunPage;
import dreambooth4j.page.TinyFolder;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.Duration;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.openqa.selenium.By;
import org.openqa.selenium.Dimension;
import org.openqa.selenium.Keys;
import org.openqa.selenium.StaleElementReferenceException;
import org.openqa.selenium.WebElement;
import org.openqa.selenium.chrome.ChromeDriver;
import org.openqa.selenium.support.ui.FluentWait;

/** The pages of runs in a browser: drawn, with nothing in them taken for their own. */
class RunPageBrowserTest {
  @TempDir Path folder;
  @TempDir Path profile;

  @SuppressWarnings("NullAway.Init")
  private ChromeDriver browser;

  @BeforeEach
  void open() throws IOException {
    HeadlessBrowser.require();
    browser = HeadlessBrowser.start(profile);
    TinyFolder.of(folder, TinyFolder.HOSTILE, 20, 1e-4);
  }

  @AfterEach
  @SuppressWarnings("NullAway") // null where there is no browser
  void close() {
    if (browser != null) {
      browser.quit();
    }
  }

  private List<WebElement> all(String selector) {
    return browser.findElements(By.cssSelector(selector));
  }

  private String text(String selector) {
    return browser.findElement(By.cssSelector(selector)).getText();
  }

  private long number(String script) {
    Object value = browser.executeScript("return " + script);
    return value instanceof Long whole ? whole : -1;
  }

  @Test
  void shouldDrawItsCurvesAndMoveThroughItsSamples() throws IOException {
    browser.get(RunPage.write(folder).toUri().toString());
    assertThat(browser.getTitle()).isEqualTo(TinyFolder.HOSTILE + " – training run");
    assertThat(all(".chart canvas")).hasSize(6);
    assertThat(all(".slider figure")).hasSize(2);
    WebElement slider = browser.findElement(By.cssSelector(".slider input"));
    assertThat(text(".slider output")).isEqualTo("step 20");
    slider.sendKeys(Keys.ARROW_LEFT);
    assertThat(text(".slider output")).isEqualTo("step 10");
    assertThat(text(".slider figure:nth-child(2) figcaption")).isEqualTo("step 10");
    browser.findElement(By.id("logarithmic")).click();
    assertThat(all(".chart canvas")).hasSize(6);
    browser.findElement(By.id("only")).click();
    assertThat(all(".settings tr").stream().filter(WebElement::isDisplayed)).hasSize(3);
    browser.manage().window().setSize(new Dimension(500, 900));
    assertThat(number("document.documentElement.scrollWidth - innerWidth")).isNotPositive();
    assertThat(HeadlessBrowser.complaints(browser)).isEmpty();
  }

  @Test
  void shouldDrawNewStepsOfARunThatGoes() throws IOException {
    LivePage page = new LivePage(folder);
    page.begin();
    try (MonitorServer server = new MonitorServer(page, 0)) {
      browser.get(server.address());
      assertThat(text("#tiles li")).isEqualTo("20 of 20 steps");
      assertThat(all(".chart canvas")).hasSize(6);
      Files.writeString(
          folder.resolve("metrics.jsonl"), TinyFolder.line(21, 1e-4), StandardOpenOption.APPEND);
      new FluentWait<>(browser)
          .withTimeout(Duration.ofSeconds(30))
          .ignoring(StaleElementReferenceException.class)
          .until(each -> text("#tiles li").equals("21 of 20 steps"));
      assertThat(HeadlessBrowser.complaints(browser)).isEmpty();
    }
  }

  @Test
  void shouldCompareRuns() throws IOException {
    Path other = TinyFolder.of(folder.resolve("other"), "sks", 5, 1e-6);
    Path file = folder.resolve("compare.html");
    ComparePage.write(List.of(folder, other), file);
    browser.get(file.toUri().toString());
    assertThat(all(".chart canvas")).hasSize(6);
    assertThat(text("#differences tbody")).contains("learning_rate");
    assertThat(HeadlessBrowser.complaints(browser)).isEmpty();
  }
}
